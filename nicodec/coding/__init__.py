"""The steps of the codec, for pictures of any size.

Under `codec`, which puts them in order. Here `picture`, `model` and `bitstream` meet.
"""
