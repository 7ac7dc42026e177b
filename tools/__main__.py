"""`python -m tools`."""

import sys

# Before the import below, which an older Python cannot read.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(f"expected Python 3.11 or newer, got {sys.version.split()[0]}; next step: make PYTHON=python3.12 ...")

from tools.cli import main

sys.exit(main())
