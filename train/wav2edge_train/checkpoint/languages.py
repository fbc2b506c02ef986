"""Checkpoints in many languages: an adapter, a head and a vocabulary for each, over one encoder.

Massively Multilingual Speech (Pratap et al., arXiv 2305.13516) has over a thousand; the files are those that
``Wav2Vec2PreTrainedModel.load_adapter`` of transformers 4.57 reads: ``adapter.LANGUAGE.safetensors``, or ``.bin``, next
to the weights, and a ``vocab.json`` that holds a vocabulary for each language.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from transformers import PreTrainedModel

from wav2edge.errors import CheckpointError
from wav2edge_train.checkpoint.library_logging import first_line

ADAPTERS = ("adapter.{}.safetensors", "adapter.{}.bin")
VOCABULARIES = "vocab.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
FEW = 12
"""Most languages that a message names."""


def languages_of(folder: Path) -> tuple[str, ...]:
    """The languages that a checkpoint has vocabularies for; none where it has one vocabulary, or cannot be read."""
    try:
        found = json.loads((folder / VOCABULARIES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    vocabularies = isinstance(found, dict) and found and all(isinstance(each, dict) for each in found.values())
    return tuple(found) if vocabularies else ()


def language_of_weights(folder: Path) -> str | None:
    """The language whose adapter is among the weights themselves; None where there are no languages to choose from."""
    if not languages_of(folder):
        return None
    try:
        named = json.loads((folder / TOKENIZER_CONFIG).read_text(encoding="utf-8")).get("target_lang")
    except (OSError, ValueError):
        return None
    return None if named is None else str(named)


def adapters_in(folder: Path) -> tuple[str, ...]:
    """The languages of a local checkpoint that it has adapters for, that of its weights first."""
    own = language_of_weights(folder)
    there = (name for name in languages_of(folder) if name != own and _has_adapter(folder, name))
    return (*([] if own is None else [own]), *there)


def _has_adapter(folder: Path, language: str) -> bool:
    return any((folder / name.format(language)).is_file() for name in ADAPTERS)


def check_language(source: str | Path, folder: Path, language: str) -> None:
    """Raise a CheckpointError where a checkpoint has no vocabulary for a language."""
    known = languages_of(folder)
    if not known:
        raise CheckpointError(f"{source}: has one vocabulary and no languages to choose from; leave --language out")
    if language not in known:
        named = ", ".join(known[:FEW]) + (f" and {len(known) - FEW} more" if len(known) > FEW else "")
        raise CheckpointError(
            f"{source}: nothing for the language {language!r}; it has {named}: see wav2edge inspect {source}"
        )


def load_language(source: str | Path, model: Any, language: str) -> PreTrainedModel:
    """Put the adapter and the head of a language into a model that was loaded from ``source``.

    That of the weights themselves need not be in a file of its own: fine-tuned checkpoints have none.

    Raises:
        CheckpointError: the model takes no adapters, or that of the language is missing or damaged.
    """
    if getattr(model.config, "adapter_attn_dim", None) is None or not hasattr(model, "load_adapter"):
        raise CheckpointError(f"{source}: its encoder has no adapters for languages; leave --language out")
    folder = Path(source)
    if folder.is_dir() and not _has_adapter(folder, language) and language == language_of_weights(folder):
        return cast("PreTrainedModel", model)
    try:
        model.load_adapter(language)
    except Exception as error:  # safetensors, pickle, torch and the Hub each raise their own kind
        raise CheckpointError(
            f"{source}: the adapter of {language!r} cannot be read ({first_line(error)});"
            f" put adapter.{language}.safetensors next to the weights"
        ) from None
    return cast("PreTrainedModel", model.eval())
