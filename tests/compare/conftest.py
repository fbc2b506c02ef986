"""Comparisons run on what the export's tests export."""

from tests.export.conftest import *  # noqa: F403
