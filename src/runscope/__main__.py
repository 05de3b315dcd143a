"""``python -m runscope``."""

import sys

from runscope.cli import main

sys.exit(main())
