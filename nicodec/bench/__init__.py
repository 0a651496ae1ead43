"""Measuring nicodec beside other codecs: the benchmark, its crops, and the page that compares one picture.

Above `api` and `codec`, which it calls as any user would; under the command line.
"""
