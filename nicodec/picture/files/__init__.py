"""Which kind of file a picture is, whether it may be read, and whether it is damaged.

Under `reader`.
"""
