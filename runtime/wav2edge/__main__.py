"""``python -m wav2edge``, and the command ``wav2edge``."""

import sys


def start() -> int:
    """Run the command line; an interrupt is one line even while its modules are being imported."""
    try:
        from wav2edge.cli import main

        return main()
    except KeyboardInterrupt:
        print("wav2edge: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(start())
