"""``python -m wav2edge``."""

import sys

from wav2edge.cli import main

sys.exit(main())
