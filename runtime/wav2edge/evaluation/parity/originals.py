"""What the original (PyTorch) answered, kept in the bundle, so that a device can repeat the certificate without it.

``original.json`` holds the digest of each synthetic signal, and of each real clip its digest and the original's answer;
``original.npz`` holds the outputs for each signal. Neither the signals, which any device can make again, nor the clips
are stored. A clip is known by the SHA-256 of its file: decoders and resamplers differ in the last bit between
processors, and a digest of the decoded samples would then know none of them.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wav2edge.audio.clip import load_clip
from wav2edge.bundle.folder import ORIGINAL, ORIGINAL_OUTPUTS, Bundle, sha256_of
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.decoding.interpretation import interpret
from wav2edge.errors import AudioError, BundleError
from wav2edge.evaluation.dataset import Utterance
from wav2edge.evaluation.parity.differences import Answer, Model, Outputs
from wav2edge.evaluation.parity.signals import GridCase

LARGEST_OUTPUTS_BYTES = 16 * 1000**2
"""The longest signals are left out beyond; it takes a vocabulary of 1,500 tokens to come so far."""


@dataclass(frozen=True, kw_only=True)
class RecordedCase:
    """The digest of a signal's samples, and what the original gave for it: each head's output, float32."""

    sha256: str
    outputs: Outputs


@dataclass(frozen=True, kw_only=True)
class Originals:
    """Signals by their names in the certificate's grid, and answers by the SHA-256 of the clip's file."""

    cases: Mapping[str, RecordedCase]
    clips: Mapping[str, Answer]

    def write(self, folder: Path) -> None:
        """Write both files of a bundle."""
        document = {
            "cases": {name: {"sha256": case.sha256} for name, case in self.cases.items()},
            "clips": {sha256: vars(heard) for sha256, heard in self.clips.items()},
        }
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        (folder / ORIGINAL).write_text(text, encoding="utf-8")
        arrays: dict[str, Any] = {
            _key(name, output): values for name, case in self.cases.items() for output, values in case.outputs.items()
        }
        np.savez_compressed(folder / ORIGINAL_OUTPUTS, **arrays)

    @classmethod
    def read(cls, bundle: Bundle) -> Originals:
        """Read them from a bundle, after both hashes were checked.

        Raises:
            BundleError: an older version wrote the bundle, or the files are damaged.
        """
        if ORIGINAL not in bundle.manifest.files:
            raise BundleError(
                f"{bundle.folder}: does not hold what the original answered, and only newer exports do;"
                " export the bundle again"
            )
        document, path = bundle.read_json(ORIGINAL), bundle.checked(ORIGINAL_OUTPUTS)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                cases = {
                    name: RecordedCase(
                        sha256=recorded["sha256"],
                        outputs={output: arrays[_key(name, output)] for output in bundle.manifest.heads.outputs},
                    )
                    for name, recorded in document["cases"].items()
                }
            clips = {sha256: Answer(**heard) for sha256, heard in document["clips"].items()}
        except (ValueError, TypeError, LookupError, AttributeError, zipfile.BadZipFile) as error:
            raise BundleError(f"{path}: not as an export writes it ({error}); export the bundle again") from None
        return cls(cases=cases, clips=clips)


def ask_original(
    original: Model, heads: Heads, geometry: ConvGeometry, *, grid: Iterable[GridCase], utterances: Sequence[Utterance]
) -> Originals:
    """Record what the original answers to signals and clips; a clip that cannot be read is left out."""
    clips: dict[str, Answer] = {}
    for row in utterances:
        with suppress(AudioError):
            clip = load_clip(row.path)
            result = interpret(original(clip.samples), heads, geometry, duration_s=clip.duration_s)
            clips[sha256_of(row.path)] = Answer.of(result)
    return Originals(cases=_recorded(original, grid), clips=clips)


def _recorded(original: Model, grid: Iterable[GridCase]) -> dict[str, RecordedCase]:
    cases: dict[str, RecordedCase] = {}
    left_bytes = LARGEST_OUTPUTS_BYTES
    for case in sorted(grid, key=lambda case: len(case.samples)):
        outputs = {name: np.asarray(values, np.float32) for name, values in original(case.samples).items()}
        left_bytes -= sum(values.nbytes for values in outputs.values())
        if left_bytes < 0:
            break
        cases[case.name] = RecordedCase(sha256=case.sha256, outputs=outputs)
    return cases


def _key(case: str, output: str) -> str:
    return f"{case}/{output}"
