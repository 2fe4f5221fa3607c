"""`python -m tartan`."""

import sys

from tartan.cli import main

sys.exit(main())
