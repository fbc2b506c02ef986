"""The comparison, top to bottom: choose, build, hold every answer against PyTorch, then measure speed."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wav2edge.bundle.folder import Bundle
from wav2edge.errors import BenchmarkError, DataError
from wav2edge.evaluation.benchmark.environment import environment, installed_versions
from wav2edge.evaluation.dataset import Utterance, read_dataset
from wav2edge.evaluation.evaluator import choose_split
from wav2edge.inference.cpu import int8_saturation_warning
from wav2edge.output.progress import Progress
from wav2edge_compare.comparison_options import ANSWERS_A_TURN, ComparisonOptions
from wav2edge_compare.measuring.answer_quality import JudgedClip, Outputs, judge, read_clips, synthetic_clips
from wav2edge_compare.measuring.speed import Contender, drop, measure_speed, steps
from wav2edge_compare.peers.build_cache import Workshop
from wav2edge_compare.peers.checkpoint_facts import OLD_WEIGHTS, CheckpointFacts, read_facts, weight_bytes
from wav2edge_compare.peers.systems import ORIGINAL, OURS, PEERS, System, our_system
from wav2edge_compare.reporting.results import Comparison, LeftOut, Recorder, Row

OUR_VARIANTS = ("int8", "fp32")
"""Measured where no variant is named and the bundle has them; the first is what others are held against."""

CALIBRATION_CLIPS = 64
"""Clips that full quantisation is calibrated on, at most."""

SAMPLES = "samples.jsonl"
PEERS_FOLDER = "peers"
PACKAGES = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "openvino", "nncf", "ctranslate2", "onnx-asr")


def compare(options: ComparisonOptions, *, say: Callable[[str], None]) -> Comparison:
    """Build every peer, and measure it beside the bundle.

    Args:
        options: what is asked for.
        say: told each stage as it begins.

    Raises:
        UsageError, DataError, CheckpointError, BundleError: the input cannot be used; nothing was measured.
        BenchmarkError: PyTorch cannot answer, and so there is nothing to hold the others against.
    """
    facts, bundle = read_facts(options.checkpoint), Bundle.open(options.bundle)
    ours = [our_system(variant) for variant in _variants(options, bundle)]
    utterances = [] if options.data is None else read_dataset(options.data)
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, Recorder(options.output / SAMPLES) as recorder:
        bench = _Bench(options, facts, bundle, utterances, folder=Path(scratch), recorder=recorder, say=say)
        left_out = [absent for peer in options.peers if (absent := _left_out(peer, facts))]
        names = {absent.name for absent in left_out}
        rows = [*map(bench.row, ours), *(bench.row(peer) for peer in options.peers if peer.name not in names)]
        recorder.write("environment", command=options.command, **bench.environment)
        contenders = [each for row, system in rows if (each := bench.contender(row, system))]
        bench.judge(contenders)
        paces = bench.race([each for each in contenders if each.row.failure is None])
    return Comparison(
        subject=options.subject or bundle.manifest.name,
        parameters=bundle.manifest.parameters,
        note=options.note,
        command=options.command,
        made_on=datetime.datetime.now(datetime.UTC).date().isoformat(),
        threads=options.threads,
        rounds=options.rounds,
        answers_a_turn=ANSWERS_A_TURN,
        durations_s=options.durations_s,
        judged_on=bench.judged_on,
        rows=tuple(row for row, _ in rows),
        left_out=tuple(left_out),
        paces_macs_per_s=paces,
        environment=bench.environment,
    )


def _variants(options: ComparisonOptions, bundle: Bundle) -> Sequence[str]:
    chosen = options.variants or tuple(name for name in OUR_VARIANTS if name in bundle.manifest.variants)
    for name in chosen:
        bundle.variant(name)  # says which ones there are, if there is no such one
    return chosen or (bundle.manifest.default_variant,)


def _left_out(peer: System, facts: CheckpointFacts) -> LeftOut | None:
    reason = peer.missing or peer.refuses(facts)
    return None if reason is None else LeftOut(name=peer.name, title=peer.title, reason=reason)


class _Bench:
    """Where the systems of one comparison are made and measured."""

    def __init__(
        self,
        options: ComparisonOptions,
        facts: CheckpointFacts,
        bundle: Bundle,
        utterances: Sequence[Utterance],
        *,
        folder: Path,
        recorder: Recorder,
        say: Callable[[str], None],
    ) -> None:
        self._options, self._bundle, self._recorder, self._say = options, bundle, recorder, say
        self._folder = folder
        self._clips, self.judged_on = _judged_clips(options, utterances, bundle)
        calibration, self._calibrated_on = _calibration_clips(utterances, bundle)
        self._workshop = Workshop(facts, options.output / PEERS_FOLDER, self._saved(calibration), say=say)
        self.environment: dict[str, Any] = {**environment(), **installed_versions(PACKAGES)}

    def _saved(self, clips: Sequence[JudgedClip]) -> list[Path]:
        paths = [self._folder / f"calibration-{number}.npy" for number in range(len(clips))]
        for path, clip in zip(paths, clips, strict=True):
            np.save(path, clip.samples)
        return paths

    def row(self, system: System) -> tuple[Row, System]:
        """An empty row for a system."""
        settings = system.settings.replace("{calibration}", self._calibrated_on)
        ours = system.name not in PEERS
        return Row(name=system.name, title=system.title, ours=ours, settings=settings, versions=system.versions), system

    def contender(self, row: Row, system: System) -> Contender | None:
        """Build a system's model; None, and the reason in its row, where that fails."""
        arguments: dict[str, Any] = {"threads": self._options.threads}
        if row.ours:
            name = system.name.removeprefix(f"{OURS}-")
            variant = self._bundle.variant(name)
            arguments |= {"model": str(self._bundle.folder), "variant": name}
            row.size_bytes = self._bundle.manifest.files[variant.file].size_bytes
            if message := int8_saturation_warning(variant):
                self._say(message)
                row.settings += f"; {message}"
        else:
            try:
                model = self._workshop.build(system.model)
            except BenchmarkError as failure:
                drop(row, f"cannot be built: {failure}", self._recorder)
                return None
            arguments["model"] = str(model)
            row.size_bytes = weight_bytes(model, system.files) or weight_bytes(model, OLD_WEIGHTS)
        return Contender(row=row, runner=system.runner, arguments=arguments, log_probabilities=system.log_probabilities)

    def judge(self, contenders: Sequence[Contender]) -> None:
        """Ask every system for its answers to the clips, and hold them against PyTorch's."""
        self._say(f"asking every system for its answers: {self.judged_on}")
        with Progress("answering", len(self._clips) * (1 + len(contenders))) as progress:
            original = next((each for each in contenders if each.row.name == ORIGINAL), None) or self._original()
            originals = self._answers(original, progress.advance)
            for contender in contenders:
                try:
                    answers = originals if contender is original else self._answers(contender, progress.advance)
                    contender.row.quality = judge(
                        self._clips,
                        originals,
                        answers,
                        heads=self._bundle.manifest.heads,
                        geometry=self._bundle.manifest.geometry,
                        log_probabilities=contender.log_probabilities,
                    )
                except (BenchmarkError, DataError) as failure:
                    drop(contender.row, str(failure), self._recorder)
                else:
                    quality = contender.row.quality.to_dict()
                    self._recorder.write("answers", system=contender.row.name, **quality)

    def _original(self) -> Contender:
        """PyTorch eager, whether or not it is among the systems that are compared."""
        row, system = self.row(PEERS[ORIGINAL])
        contender = self.contender(row, system)
        assert contender is not None  # it is the checkpoint itself, and needs no build
        return contender

    def _answers(self, contender: Contender, advance: Callable[[], None]) -> list[Outputs]:
        """Outputs of one system for every clip, in a process of its own."""
        given, written = self._folder / "given.npy", self._folder / "answered.npz"
        np.save(given, self._clips[0].samples)
        process, ready, cold_start_s = contender.start(given, self._folder)
        contender.row.loads_s.append(ready["load_s"])
        contender.row.cold_starts_s.append(cold_start_s)
        self._recorder.write("start", system=contender.row.name, cold_start_s=cold_start_s, **ready)
        found: list[Outputs] = []
        with process:
            for clip in self._clips:
                np.save(given, clip.samples)
                process.ask(answer=str(given), to=str(written))
                with np.load(written) as outputs:
                    found.append(dict(outputs))
                advance()
        return found

    def race(self, contenders: Sequence[Contender]) -> dict[float, list[float]]:
        """Measure the speed of every system that answered; see ``measure_speed``."""
        options = self._options
        lengths = ", ".join(f"{duration_s:g}" for duration_s in options.durations_s)
        self._say(f"measuring {len(contenders)} systems on clips of {lengths} s, {options.rounds} rounds each")
        with Progress("measuring", steps(len(contenders), len(options.durations_s), options.rounds)) as progress:
            return measure_speed(
                contenders,
                durations_s=options.durations_s,
                rounds=options.rounds,
                threads=options.threads,
                folder=self._folder,
                recorder=self._recorder,
                advance=progress.advance,
            )


def _judged_clips(
    options: ComparisonOptions, utterances: Sequence[Utterance], bundle: Bundle
) -> tuple[list[JudgedClip], str]:
    """The clips that answers are held against each other on, and what they are."""
    if options.data is None:
        return synthetic_clips(), "made-up voices of 0.5 to 10 s, which tell logit error and nothing of accuracy"
    chosen = choose_split(utterances, options.split)[: options.max_clips]
    clips = read_clips(chosen, bundle.manifest.geometry)
    (split, *others) = {row.split or "unnamed" for row in chosen}
    where = f"split {split}" if not others else "all splits"
    return clips, f"{len(clips)} clips of {options.data.resolve().name}, {where}"


def _calibration_clips(utterances: Sequence[Utterance], bundle: Bundle) -> tuple[list[JudgedClip], str]:
    """Clips of the training split, evenly drawn; made-up ones where there is none."""
    training = [row for row in utterances if row.split == "train"]
    if not training:
        return synthetic_clips(), "made-up voices"
    drawn = training[:: -(-len(training) // CALIBRATION_CLIPS)]
    clips = read_clips(drawn, bundle.manifest.geometry)
    return clips, f"{len(clips)} training clips"
