"""What travels beside a picture: colour profile, EXIF, XMP, IPTC, texts, print resolution.

Under `reader`, `writer` and `coding.beside`. `metadata` makes it true of the picture, `holding` knows what files hold.
"""
