"""Comparisons use the checkpoints and bundles of the export's tests."""

from tests.export.conftest import *  # noqa: F403
