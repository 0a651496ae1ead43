"""Latents at work: what a codec knows of pictures beside how to code them.

Between `api` and the command line. It sees texture, shape and colour, and knows no meaning; no networks, no bitstream.
"""
