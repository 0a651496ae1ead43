"""The command line: `app` is the program, and each command has a file of its own.

The top of the package. Results go to stdout, everything else to stderr; heavy imports are inside the commands,
so that --help is quick. Exit codes: 0 fine, 2 usage, 3 bad input, 4 unsupported, 5 some failed.
"""

import gc

# A program that starts makes many objects that stay. To search them for garbage all the time takes 20 ms.
gc.set_threshold(50_000)
