"""The decoder that a bundle decodes with by default: described in its manifest, its language model among its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wav2edge.decoding.beam import Beam
from wav2edge.decoding.grammar import Grammar
from wav2edge.decoding.hypothesis import Decoder
from wav2edge.errors import UsageError

KINDS: dict[str, tuple[type[Beam | Grammar], frozenset[str]]] = {
    "beam": (Beam, frozenset({"width", "hotwords", "lm", "lm_weight", "word_bonus", "lm_units"})),
    "grammar": (Grammar, frozenset({"phrases", "least_fit"})),
}
"""Each kind of decoder by its name in the manifest, with the options that it may have there."""


def described_decoder(description: Mapping[str, Any], folder: Path) -> Decoder:
    """The decoder of a description: one kind, with its options.

    Args:
        description: such as ``{"beam": {"width": 8, "lm": "lm.arpa"}}``.
        folder: where the language model is.

    Raises:
        UsageError: there is no such kind or option, or an option has a value that it cannot have.
        DataError: the language model cannot be read.
    """
    if len(description) != 1 or not set(description) <= set(KINDS):
        raise UsageError(f"a decoder is one of {', '.join(KINDS)}; got {', '.join(map(repr, description)) or 'none'}")
    ((name, options),) = description.items()
    kind, known = KINDS[name]
    if not isinstance(options, dict) or not set(options) <= known:
        raise UsageError(f"the options of {name!r} are among {', '.join(sorted(known))}; got {options!r}")
    if options.get("lm") is not None:
        options = {**options, "lm": folder / str(options["lm"])}
    try:
        return kind(**options)
    except (TypeError, AttributeError) as error:
        raise UsageError(f"the options of {name!r} are {options!r}: {error}") from None


def language_model_path(decoder: Decoder) -> Path | None:
    """The file of a described decoder's language model; None without one."""
    return decoder.lm if isinstance(decoder, Beam) and isinstance(decoder.lm, Path) else None
