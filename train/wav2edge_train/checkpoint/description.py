"""What a checkpoint is, from its small files alone: for ``wav2edge inspect`` before an export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wav2edge_train.checkpoint.languages import adapters_in, language_of_weights, languages_of
from wav2edge_train.checkpoint.library_logging import quiet_transformers
from wav2edge_train.checkpoint.loading import read_small_files


def describe_checkpoint(source: str) -> dict[str, Any]:
    """Facts of a checkpoint as JSON-ready values; its weights are not read, and not fetched from the Hub.

    Args:
        source: a local folder, or a name on the Hub.

    Raises:
        CheckpointError: it is missing, damaged, or of an unsupported kind.
    """
    with quiet_transformers():
        folder, config, architecture = read_small_files(source)
    described: Any = config
    joint = getattr(config, "joint_heads", None)
    return {
        "name": Path(source).resolve().name if Path(source).is_dir() else source,
        "architecture": architecture.model.__name__,
        "model_type": described.model_type,
        "layers": described.num_hidden_layers,
        "hidden_size": described.hidden_size,
        "heads": [name for name in architecture.outputs if joint is None or name in joint],
        "language": language_of_weights(folder),
        # On the Hub, each vocabulary is taken to have its adapter: to ask for each would be a thousand requests.
        "languages": list(adapters_in(folder) if Path(source).is_dir() else languages_of(folder)),
    }
