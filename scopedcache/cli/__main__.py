"""`python -m scopedcache.cli`: the same as `scopedcache`."""

import sys

from .entry import main

sys.exit(main())
