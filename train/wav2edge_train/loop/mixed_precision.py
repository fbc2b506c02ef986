"""The arithmetic to train in on this machine."""

from __future__ import annotations

import torch

from wav2edge.errors import UsageError


def resolve_precision(wanted: str) -> str:
    """The precision that a wish comes to: float32 on a CPU, bfloat16 on a GPU that has it, else float16.

    Raises:
        UsageError: float16 on a CPU, or bfloat16 on a GPU without it.
    """
    cuda = torch.cuda.is_available()
    bf16 = not cuda or torch.cuda.is_bf16_supported()
    if wanted == "auto":
        return ("bf16" if bf16 else "fp16") if cuda else "fp32"
    if wanted == "fp16" and not cuda:
        raise UsageError("precision fp16 needs a CUDA GPU, and there is none here; use --precision fp32")
    if wanted == "bf16" and not bf16:
        raise UsageError("precision bf16 needs a GPU that has it (Ampere or newer); use --precision fp16")
    return wanted
