"""From somebody else's graph to a bundle: held against the checkpoint that it was exported from, and certified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import CtcHead, Heads
from wav2edge.bundle.manifest import FileRecord, Manifest, Variant
from wav2edge.errors import BundleError, CheckpointError, ParityError, UsageError, Wav2EdgeError
from wav2edge.evaluation.parity.certificate import (
    Certificate,
    certified_up_to_s,
    confidence_temperature,
    word_times_borne_out,
)
from wav2edge.evaluation.parity.differences import CachedModel
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.engine import Engine
from wav2edge_export.bundle.certification import Certifier, choose_evaluation_clips
from wav2edge_export.bundle.writing import staged_folder, write_bundle
from wav2edge_export.interchange.third_party_graph import ThirdPartyGraph, read_graph
from wav2edge_export.quantization.recipes import RECIPES
from wav2edge_train.checkpoint.loading import Checkpoint, load_checkpoint
from wav2edge_train.checkpoint.original import Original
from wav2edge_train.model.complexity import count_macs_per_s, count_parameters
from wav2edge_train.reporting.card_metadata import license_of

LOUDNESS = (0.02, 0.5)
"""Peaks of the clips that tell whether a graph expects normalised waveforms: its answers to raw ones depend on them."""
PROBE_SAMPLES = 24_000
MUCH_BETTER = 0.5
"""Normalising twice changes next to nothing, so the nodes for it are put in front only where they halve the error."""


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of one import.

    Attributes:
        graph: the ONNX file.
        checkpoint: a local folder or a Hub name: what the graph was exported from.
        output: the folder to write.
        language: of a checkpoint with an adapter per language; that of its weights where None.
        data: the data set whose clips the graph is certified on; None for synthetic signals alone.
        split: the split of it; ``test``, else ``validation``, else all rows where None.
        max_clips: certify on the first of its clips.
    """

    graph: Path
    checkpoint: str
    output: Path
    language: str | None = None
    data: Path | None = None
    split: str | None = None
    max_clips: int | None = None


def import_bundle(
    options: ImportOptions, *, log: Callable[[str], None] = lambda line: None
) -> tuple[Bundle, Certificate]:
    """Make a certified bundle of a graph; the folder of an earlier one is replaced in one step, or not at all.

    Args:
        options: what is asked for.
        log: gets one line per stage as it begins.

    Raises:
        ParityError: the graph's answers are not the checkpoint's; nothing was written.
        BundleError: the file is no graph from waveforms to CTC scores.
        CheckpointError, DataError, UsageError: the input cannot be used.
    """
    if options.output.resolve() in options.graph.resolve().parents:
        raise UsageError(f"{options.graph}: lies in {options.output}, which would be replaced; give another --output")
    clips = choose_evaluation_clips(options.data, split=options.split, max_clips=options.max_clips)
    log(f"loading {options.checkpoint}")
    checkpoint, head = _with_ctc_head_alone(load_checkpoint(options.checkpoint, language=options.language))
    heads, geometry = checkpoint.heads, checkpoint.geometry
    graph = read_graph(options.graph, head)
    precision, recipe = graph.precision, RECIPES[graph.precision]
    fitting = Fitting(graph=graph, head=head, geometry=geometry, original=CachedModel(Original(checkpoint).outputs))
    with staged_folder(options.output) as folder:
        path = folder / recipe.file
        path.parent.mkdir()
        log(f"{options.graph}: {fitting.write(path)}")
        certifier = Certifier(
            original=fitting.original, clips=clips, heads=heads, geometry=geometry, batched=False, log=log
        )
        engine = Engine.from_graph(path, heads=heads, geometry=geometry)
        note = f"imported from {options.graph.name}"
        certificate = certifier.certify(engine, precision, recipe.budget, parts={}, note=note)
        log(f"{precision}: {certificate.summary}")
        if not certificate.passed:
            over = ", ".join(certificate.violations)
            raise ParityError(f"{options.graph}: does not answer like {options.checkpoint}, nothing written: {over}")
        silence = certifier.silence(engine)
        variant = Variant(
            file=recipe.file, precision=precision, operators=graph.operators, language=checkpoint.language
        )
        write_bundle(
            folder,
            _manifest(checkpoint, variant, certificate, None if silence is None else silence.loses_nothing),
            checkpoint=checkpoint,
            certificates=[certificate],
            silence=silence,
            streams=None,
            original_record=certifier.original_record(),
            engines=[(precision, engine)],
            license_name=license_of(options.checkpoint),
        )
    return Bundle.open(options.output), certificate


def _with_ctc_head_alone(checkpoint: Checkpoint) -> tuple[Checkpoint, CtcHead]:
    """The checkpoint without other heads, which are not looked for in a graph, and its CTC head."""
    head = checkpoint.heads.ctc
    if head is None:
        raise CheckpointError(
            f"{checkpoint.name}: does not transcribe; graphs of CTC models can be imported, no others"
        )
    return replace(checkpoint, heads=Heads(ctc=head)), head


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """Finds out, by comparison with the original, which output a graph answers with, and to what kind of waveform."""

    graph: ThirdPartyGraph
    head: CtcHead
    geometry: ConvGeometry
    original: CachedModel

    def write(self, path: Path) -> str:
        """Write the graph as one of a bundle, with the normalisation in front of it where it is needed.

        Returns:
            What was found, in words.

        Raises:
            BundleError: it cannot be run, or none of its outputs is as long and wide as the original's.
        """
        errors: dict[tuple[str, bool], float] = {}
        fault = ""
        for output in self.graph.outputs:
            for normalized in (False, True):
                onnx.save(self.graph.serving(output, self.head, normalized=normalized), str(path))
                try:
                    errors[output, normalized] = self._error(path) * (1.0 if normalized else MUCH_BETTER)
                except Wav2EdgeError as found:
                    fault = str(found).removeprefix(f"{path}: ")  # a temporary copy, which nobody knows
        if not errors:
            raise BundleError(f"{self.graph.path}: cannot be run on clips of any length ({fault})")
        output, normalized = min(errors, key=lambda each: errors[each])
        if not np.isfinite(errors[output, normalized]):
            raise BundleError(
                f"{self.graph.path}: none of its outputs has as many frames and tokens as the checkpoint gives;"
                " is it that of another checkpoint?"
            )
        onnx.save(self.graph.serving(output, self.head, normalized=normalized), str(path))
        expects = "expects normalised waveforms, which it now gets inside" if normalized else "takes raw waveforms"
        return f"{self.graph.precision}, {expects}; the logits are its output {output}"

    def _error(self, path: Path) -> float:
        """The largest difference from the original's logits for a quiet and a loud clip; infinite for other shapes."""
        engine = Engine.from_graph(path, heads=Heads(ctc=self.head), geometry=self.geometry)
        largest = 0.0
        for seed, peak in enumerate(LOUDNESS):
            samples = voiced(PROBE_SAMPLES, seed=seed, amplitude=peak)
            found, wanted = (model(samples)[self.head.output] for model in (engine.outputs, self.original))
            if found.shape != wanted.shape or not np.isfinite(found).all():
                return float("inf")
            largest = max(largest, float(np.abs(found - wanted).max()))
        return largest


def _manifest(
    checkpoint: Checkpoint, variant: Variant, certificate: Certificate, trims_silence: bool | None
) -> Manifest:
    return Manifest(
        name=checkpoint.name,
        model_type=checkpoint.model.config.model_type,
        heads=checkpoint.heads,
        geometry=checkpoint.geometry,
        variants={variant.name: variant},
        default_variant=variant.name,
        files={variant.file: FileRecord(sha256="", size_bytes=0)},
        parameters=count_parameters(checkpoint.model),
        macs_per_s=count_macs_per_s(checkpoint.model),
        certified_up_to_s=certified_up_to_s([certificate]),
        longest_clip_s=getattr(checkpoint.model.config, "longest_clip_s", None),
        word_times=word_times_borne_out([certificate]),
        confidence_temperature=confidence_temperature([certificate]),
        trims_silence=trims_silence,
    )
