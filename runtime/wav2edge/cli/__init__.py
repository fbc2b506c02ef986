"""The command line: verbs, exit codes, and one line for whatever goes wrong."""

from wav2edge.cli.main import main

__all__ = ["main"]
