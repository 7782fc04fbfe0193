"""`python -m simsa` is `simsa`."""

import sys

from simsa.cli import main

if __name__ == "__main__":
    sys.exit(main())
