"""Training: everything that needs torch, from a folder of pictures to one .nicmodel file.

Reached only by `nicodec train`; nothing in the runtime imports it. `export` is the one bridge back.
"""
