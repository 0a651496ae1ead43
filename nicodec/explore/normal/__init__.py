"""What good pictures of one kind look like, as a codec sees them, and how unlike them another picture is.

Under the command `anomaly`. `learning` makes a `Normal` of good pictures, `checking` holds pictures against it, `file`
keeps it, `page` shows what was found.
"""
