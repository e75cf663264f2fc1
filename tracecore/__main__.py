"""`python -m tracecore`: the same as the `tracecore` command."""

import sys

from tracecore.cli import main

if __name__ == "__main__":
    sys.exit(main())
