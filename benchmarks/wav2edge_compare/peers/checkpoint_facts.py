"""Facts about a checkpoint that are read without loading it: its heads, its architecture, its digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wav2edge.bundle.folder import sha256_of
from wav2edge.errors import CheckpointError

NEW_WEIGHTS, OLD_WEIGHTS = ("*.safetensors",), ("pytorch_model*.bin",)
"""Weight files of a checkpoint; where it has both, transformers loads the new ones."""
SETTINGS = ("config.json", "preprocessor_config.json", "vocab.json", "tokenizer_config.json")


@dataclass(frozen=True, kw_only=True)
class CheckpointFacts:
    """A local checkpoint; ``digest`` covers its weights and settings, and identifies what was built from it."""

    folder: Path
    config: dict[str, Any]
    digest: str

    @property
    def transcribes(self) -> bool:
        """It has a CTC head."""
        (name, *_) = self.config.get("architectures") or [""]
        joint_heads = self.config.get("joint_heads") or ("ctc",)
        return "CTC" in name and "ctc" in joint_heads

    @property
    def layer_norm(self) -> bool:
        """Every convolution has a layer norm and a bias, and the transformer is pre-norm, as in XLSR-53."""
        return (
            self.config.get("feat_extract_norm") == "layer"
            and bool(self.config.get("conv_bias"))
            and bool(self.config.get("do_stable_layer_norm"))
        )

    @property
    def positional_convolution(self) -> tuple[int, int]:
        """Kernel and groups."""
        return self.config.get("num_conv_pos_embeddings", 128), self.config.get("num_conv_pos_embedding_groups", 16)


def read_facts(folder: Path) -> CheckpointFacts:
    """Read a checkpoint's config and digest.

    Raises:
        CheckpointError: the folder is not a checkpoint.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CheckpointError(
            f"{folder}: no readable config.json; give the checkpoint that the bundle was exported from"
        ) from None
    weights = [path for pattern in (*NEW_WEIGHTS, *OLD_WEIGHTS) for path in sorted(folder.glob(pattern))]
    if not weights:
        raise CheckpointError(f"{folder}: no weights; give the folder that save_pretrained wrote")
    digest = hashlib.sha256()
    for path in (*weights, *(folder / name for name in SETTINGS)):
        if path.is_file():
            digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    return CheckpointFacts(folder=folder, config=config, digest=digest.hexdigest())


def weight_bytes(folder: Path, patterns: tuple[str, ...]) -> int:
    """Size of the files that hold a model's weights and graph."""
    return sum(path.stat().st_size for pattern in patterns for path in folder.glob(pattern))
