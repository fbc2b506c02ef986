"""What may be chosen, in words: quick to import, so that ``--help`` does not wait for PyTorch."""

from __future__ import annotations

PRECISIONS = {
    "fp32": "as exported",
    "int8": "a quarter of the bytes, the fastest on a CPU",
    "int4": "a seventh of the bytes, slower than int8",
    "fp16": "half the bytes, for GPUs",
    "auto": "int4, int8 and float layer by layer, as small and fast as its budget allows",
}
"""Precision -> what it is for; the recipes are in ``wav2edge_export.precision``."""
