"""What samples mean: colours that a file declares, ICC profiles, and the profile that fits an output.

Under `reader` and `writer`.
"""
