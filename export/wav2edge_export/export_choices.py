"""What may be chosen, in words: quick to import, so that ``--help`` does not wait for PyTorch."""

from __future__ import annotations

PRECISIONS = {
    "fp32": "as exported",
    "int8": "a quarter of the bytes, the fastest on a CPU",
    "int4": "a seventh of the bytes, slower than int8",
    "fp16": "half the bytes, for GPUs",
    "auto": "int4, int8 and float layer by layer, as fast, or as small, as its budget allows",
}
"""Precision -> what it is for; the recipes are in ``wav2edge_export.quantization.recipes``."""

PREFERENCES = {
    "fast": "the quickest, and of those within 5 % of each other the smallest",
    "small": "the fewest bytes",
}
"""What ``auto`` takes of the mixtures within its budget; ranked in ``wav2edge_export.mixed_precision.frontier``."""
