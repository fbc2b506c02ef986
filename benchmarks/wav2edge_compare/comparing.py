"""The comparison, top to bottom: choose systems, build them, measure quality and speed, and add our roofline."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.manifest import installed_versions
from wav2edge.errors import BenchmarkError, UsageError
from wav2edge.evaluation.benchmark.environment import environment
from wav2edge.evaluation.dataset import read_dataset
from wav2edge.inference.sessions.cpu import int8_saturation_warning
from wav2edge.output.progress import Progress
from wav2edge_compare.comparison_options import RUNS_PER_TURN, ComparisonOptions
from wav2edge_compare.comparison_results import Comparison, LeftOut, Row, SampleLog
from wav2edge_compare.measuring.clip_sets import ClipSet, calibration_clips, evaluation_clips
from wav2edge_compare.measuring.measured_system import SystemUnderTest, mark_failed
from wav2edge_compare.measuring.quality_measurement import measure_quality
from wav2edge_compare.measuring.speed_measurement import measure_speed, steps
from wav2edge_compare.peers.build_cache import BuildCache
from wav2edge_compare.peers.checkpoint_facts import OLD_WEIGHTS, CheckpointFacts, read_facts, weight_bytes
from wav2edge_compare.peers.systems import ORIGINAL, OURS, PEERS, System, our_system
from wav2edge_compare.roofline import Roofline, roofline

OUR_VARIANTS = ("int8", "fp32")
"""Measured where no variant is named and the bundle has them; the others are compared with the first."""

SAMPLES = "samples.jsonl"
PEERS_FOLDER = "peers"
PACKAGES = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "openvino", "nncf", "ctranslate2", "onnx-asr")


def compare(options: ComparisonOptions, *, log: Callable[[str], None]) -> Comparison:
    """Build every peer, and measure it and the bundle in turns.

    Args:
        options: what is compared, and how.
        log: receives a line as each stage begins.

    Raises:
        UsageError, DataError, CheckpointError, BundleError: the input cannot be used; nothing was measured.
        BenchmarkError: PyTorch fails, so there is nothing to compare the others with.
    """
    facts, bundle = read_facts(options.checkpoint), Bundle.open(options.bundle)
    geometry, heads = bundle.manifest.geometry, bundle.manifest.heads
    if heads.ctc is None and heads.classification is None:
        raise UsageError(
            f"{options.bundle}: has {' and '.join(heads.names)}, which other systems are not asked for here; compare a"
            " model that transcribes or classifies"
        )
    ours = [our_system(variant) for variant in _variants(options, bundle)]
    utterances = [] if options.data is None else read_dataset(options.data)
    left_out = [absent for peer in options.peers if (absent := _left_out(peer, facts))]
    peers = [peer for peer in options.peers if peer.name not in {absent.name for absent in left_out}]
    options.output.mkdir(parents=True, exist_ok=True)
    found_on = {**environment(), **installed_versions(PACKAGES)}
    with tempfile.TemporaryDirectory() as scratch, SampleLog(options.output / SAMPLES) as samples:
        folder = Path(scratch)
        evaluated = evaluation_clips(options, utterances, geometry)
        calibration = calibration_clips(utterances, geometry)
        cache = BuildCache(facts, options.output / PEERS_FOLDER, calibration.save(folder), log=log)
        preparation = _Preparation(options, bundle, cache, calibration.description, samples=samples, log=log)
        rows = [(preparation.row(system), system) for system in (*ours, *peers)]
        samples.write("environment", command=options.command, **found_on)
        systems = [ready for row, system in rows if (ready := preparation.prepare(row, system))]
        _measure_quality(systems, preparation, evaluated, folder, samples, log)
        working = [system for system in systems if system.row.failure is None]
        machine_macs_per_s = _measure_speed(working, options, folder, samples, log)
    return Comparison(
        subject=options.subject or bundle.manifest.name,
        parameters=bundle.manifest.parameters,
        note=options.note,
        command=options.command,
        made_on=datetime.datetime.now(datetime.UTC).date().isoformat(),
        threads=options.threads,
        rounds=options.rounds,
        runs_per_turn=RUNS_PER_TURN,
        durations_s=options.durations_s,
        evaluated_on=evaluated.description,
        rows=tuple(row for row, _ in rows),
        left_out=tuple(left_out),
        machine_macs_per_s=machine_macs_per_s,
        environment=found_on,
    )


def measure_roofline(options: ComparisonOptions, comparison: Comparison) -> Roofline | None:
    """The roofline of our first variant; None where that variant failed."""
    if comparison.ours.failure is not None:
        return None
    bundle = Bundle.open(options.bundle)
    graph = bundle.check_size(bundle.variant(comparison.ours.name.removeprefix(f"{OURS}-")).file)
    with Progress("measuring the roofline", len(options.durations_s) + 1) as progress:
        return roofline(graph, options.durations_s, options.threads, advance=progress.advance)


def _variants(options: ComparisonOptions, bundle: Bundle) -> Sequence[str]:
    chosen = options.variants or tuple(name for name in OUR_VARIANTS if name in bundle.manifest.variants)
    for name in chosen:
        bundle.variant(name)  # an unknown name is refused here, with the names that exist
    return chosen or (bundle.manifest.default_variant,)


def _left_out(peer: System, facts: CheckpointFacts) -> LeftOut | None:
    reason = peer.missing or peer.refuses(facts)
    return None if reason is None else LeftOut(name=peer.name, title=peer.title, reason=reason)


class _Preparation:
    """From a system to one that is ready to be measured: its row, its model, and its runner's arguments."""

    def __init__(
        self,
        options: ComparisonOptions,
        bundle: Bundle,
        cache: BuildCache,
        calibrated_on: str,
        *,
        samples: SampleLog,
        log: Callable[[str], None],
    ) -> None:
        self._options, self.bundle, self._cache, self._calibrated_on = options, bundle, cache, calibrated_on
        self._samples, self._log = samples, log

    def row(self, system: System) -> Row:
        """An empty row for a system."""
        settings = system.settings.replace("{calibration}", self._calibrated_on)
        ours = system.name not in PEERS
        return Row(name=system.name, title=system.title, ours=ours, settings=settings, versions=system.versions)

    def prepare(self, row: Row, system: System) -> SystemUnderTest | None:
        """Build a system's model; None, with the reason in its row, where that fails."""
        try:
            arguments = self._our_arguments(row) if row.ours else self._peer_arguments(row, system)
        except BenchmarkError as failure:
            mark_failed(row, f"cannot be built: {failure}", self._samples)
            return None
        arguments |= {"threads": self._options.threads, **system.arguments}
        return SystemUnderTest(
            row=row, runner=system.runner, arguments=arguments, log_probabilities=system.log_probabilities
        )

    def original(self) -> SystemUnderTest:
        """PyTorch eager, whether or not it is among the systems that are compared."""
        prepared = self.prepare(self.row(PEERS[ORIGINAL]), PEERS[ORIGINAL])
        assert prepared is not None  # it is the checkpoint itself, and needs no build
        return prepared

    def _our_arguments(self, row: Row) -> dict[str, Any]:
        name = row.name.removeprefix(f"{OURS}-")
        variant = self.bundle.variant(name)
        row.size_bytes = self.bundle.manifest.files[variant.file].size_bytes
        if message := int8_saturation_warning(variant):
            self._log(message)
            row.settings += f"; {message}"
        return {"model": str(self.bundle.folder), "variant": name}

    def _peer_arguments(self, row: Row, system: System) -> dict[str, Any]:
        model = self._cache.build(system.model)
        row.size_bytes = weight_bytes(model, system.files) or weight_bytes(model, OLD_WEIGHTS)
        return {"model": str(model)}


def _measure_quality(
    systems: Sequence[SystemUnderTest],
    preparation: _Preparation,
    evaluated: ClipSet,
    folder: Path,
    samples: SampleLog,
    log: Callable[[str], None],
) -> None:
    log(f"comparing outputs: {evaluated.description}")
    original = next((each for each in systems if each.row.name == ORIGINAL), None) or preparation.original()
    with Progress("running clips", len(evaluated.clips) * (1 + len(systems))) as progress:
        measure_quality(
            systems,
            original,
            evaluated.clips,
            preparation.bundle.manifest,
            folder=folder,
            samples=samples,
            advance=progress.advance,
        )


def _measure_speed(
    systems: Sequence[SystemUnderTest],
    options: ComparisonOptions,
    folder: Path,
    samples: SampleLog,
    log: Callable[[str], None],
) -> dict[float, list[float]]:
    lengths = ", ".join(f"{duration_s:g}" for duration_s in options.durations_s)
    log(f"measuring {len(systems)} systems on clips of {lengths} s, {options.rounds} rounds each")
    with Progress("measuring", steps(len(systems), len(options.durations_s), options.rounds)) as progress:
        return measure_speed(
            systems,
            durations_s=options.durations_s,
            rounds=options.rounds,
            threads=options.threads,
            folder=folder,
            samples=samples,
            advance=progress.advance,
        )
