"""`python -m nicodec`: the same command as `nicodec`; first in the data flow, before `cli.app`.

It exists for Pythons whose scripts folder is not on the PATH.
"""

from nicodec.cli.app import main

if __name__ == "__main__":
    main()
