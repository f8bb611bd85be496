"""`python -m gradsweep`: the command line."""

import sys

from gradsweep.cli import main

if __name__ == "__main__":
    sys.exit(main())
