"""The families at base shape with random weights: our int8 and Optimum's own, of the same checkpoint, in turns.

    python -m benchmarks.records.speed.family_shapes --output build/families \
        --result benchmarks/results/family-shapes.json

Base shape is what transformers builds by default: 12 layers of 768 channels. Each family's checkpoint is exported by
``wav2edge export`` and by Optimum, whose plain graph its dynamic recipe for this processor then quantises. Each graph
has a process of its own with the same session options, and they take turns; Optimum's is given waveforms that are
normalised already. Times are by the wall clock and by the processor, which neighbours on a shared machine disturb less.
Random weights show speed and logit error, never accuracy: the error is that of both compared with PyTorch.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.records.command_recorder import CommandRecorder, bundle_certificates
from wav2edge.audio.clip import zero_mean_unit_variance
from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.engine import Engine
from wav2edge.output.progress import track
from wav2edge_compare.peers.peer_builds import make_onnx, make_optimum_int8, optimum_recipe
from wav2edge_train.checkpoint.families.family_table import FAMILIES
from wav2edge_train.checkpoint.original import load_original
from wav2edge_train.data.vocabulary import Vocabulary, make_feature_extractor, save_processor

Samples = npt.NDArray[np.float32]
DURATIONS_S = (1.0, 3.0)
DISCARDED = 2
"""Rounds that warm up."""
VOCABULARY = Vocabulary(tokens=("|", *"abcdefghijklmnopqrstuvwxyz", "[UNK]", "[PAD]"))
SEED = 0
BAR = 0.80
"""Of Optimum's time, at most."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A family, and the options of its export."""

    family: str
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """In the record, and of the bundle's folder."""
        return " ".join((self.family, *self.options))


ROWS = (
    Row(family="wavlm"),
    Row(family="hubert"),
    Row(family="unispeech-sat"),
    Row(family="data2vec-audio", options=("--logit-error", "0.04")),
    Row(family="wav2vec2-conformer", options=("--logit-error", "0.06")),
    # By default int8 is faster and less exact for these two.
    Row(family="wav2vec2-conformer"),
    Row(family="data2vec-audio"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Export, measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for checkpoints and graphs")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    parser.add_argument("--rows", metavar="NAMES", help="those to measure, by their names in the record (default: all)")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="runs of each graph at each length")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--layers", type=int, default=12, metavar="N", help="fewer, for a rehearsal")
    options = parser.parse_args(arguments)

    recorder = CommandRecorder({options.output: "OUTPUT"})
    rows = {}
    for row in ROWS:
        if options.rows and row.name not in options.rows.split(","):
            continue
        folder = options.output / row.family
        bundle = prepare(folder, row, options.layers, recorder)
        rows[row.name] = {
            **export_facts(bundle),
            **measured(folder, bundle, rounds=options.rounds, threads=options.threads),
        }
        record = {
            "what": "base shape, random weights: our int8 and Optimum's dynamic int8 of one checkpoint, in turns",
            "bar": f"at most {BAR} of Optimum's time, and no larger an error",
            "optimum_recipe": optimum_recipe(),
            "threads": options.threads,
            "rounds": options.rounds,
            "families": rows,
        }
        recorder.write(options.result, record)  # after each row: what was measured is not lost when a later one fails


def prepare(folder: Path, row: Row, layers: int, recorder: CommandRecorder) -> Path:
    """Write our bundle, and a checkpoint with random weights and Optimum's graphs unless they are there."""
    if not (folder / "checkpoint").is_dir():
        write_checkpoint(folder / "checkpoint", row.family, layers)
    bundle = folder / "-".join(("bundle", *(word.strip("-") for word in row.options)))
    recorder.run("export", folder / "checkpoint", "--output", bundle, "--precision", "int8", *row.options)
    if not (folder / "optimum-int8").is_dir():
        make_onnx(folder / "checkpoint", folder / "optimum", ())
        make_optimum_int8(folder / "optimum", folder / "optimum-int8", ())
    return bundle


def export_facts(bundle: Path) -> dict[str, Any]:
    """What was certified of our int8, which of its parts are not plain int8, and its size."""
    manifest = Bundle.open(bundle).manifest
    certificate = bundle_certificates(bundle)["int8"]
    facts = ("summary", "measured", "kept_in_float", "int8_by_row")
    return {
        "parameters": manifest.parameters,
        "size_bytes": manifest.files[manifest.variants["int8"].file].size_bytes,
        "certificate": {name: certificate[name] for name in facts},
    }


def write_checkpoint(folder: Path, family: str, layers: int) -> None:
    """A CTC checkpoint at the shape that transformers builds by default; the same weights each time."""
    kind: Any = FAMILIES[family].find("ForCTC")
    config: Any = FAMILIES[family].config(
        num_hidden_layers=layers,
        vocab_size=len(VOCABULARY.tokens),
        pad_token_id=VOCABULARY.blank_id,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(SEED)
    kind(config).save_pretrained(folder)
    layer_norm = getattr(config, "feat_extract_norm", "layer") == "layer"
    save_processor(folder, make_feature_extractor(layer_norm=layer_norm), VOCABULARY)


def our_engine(bundle: Bundle, folder: Path, threads: int) -> Engine:
    """Our int8."""
    return Engine.from_bundle(bundle, variant="int8", threads=threads)


def optimum_engine(bundle: Bundle, folder: Path, threads: int) -> Engine:
    """Optimum's int8, with the same session options."""
    (graph,) = (folder / "optimum-int8").glob("*.onnx")
    return Engine.from_graph(graph, heads=bundle.manifest.heads, geometry=bundle.manifest.geometry, threads=threads)


SYSTEMS: Mapping[str, tuple[Callable[[Bundle, Path, int], Engine], Callable[[Samples], Samples]]] = {
    "wav2edge": (our_engine, lambda clip: clip),
    "optimum": (optimum_engine, zero_mean_unit_variance),
}
"""How each is opened, and what it is given."""


def answer(connection: Connection, system: str, bundle: Path, folder: Path, threads: int) -> None:
    """The process of one system: a clip in; logits, wall-clock time and processor time out."""
    engine = SYSTEMS[system][0](Bundle.open(bundle), folder, threads)
    while (samples := connection.recv()) is not None:
        started_s, processor_s = time.perf_counter(), time.process_time()
        logits = engine.outputs(samples)["logits"]
        connection.send((logits, time.perf_counter() - started_s, time.process_time() - processor_s))


@contextmanager
def started(system: str, *arguments: Any) -> Iterator[Connection]:
    """The connection to a system's process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(theirs, system, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
        ours.send(None)
    finally:
        ours.close()
        process.join()


def measured(folder: Path, bundle: Path, *, rounds: int, threads: int) -> dict[str, Any]:
    """Latency of both int8 graphs, and how far their logits are from those of PyTorch."""
    clips = {f"{duration_s:g}": voiced(round(duration_s * SAMPLE_RATE_HZ)) for duration_s in DURATIONS_S}
    original = load_original(folder / "checkpoint")
    expected = {length: original.outputs(clip)["logits"] for length, clip in clips.items()}
    latency, errors = {}, {}
    arguments = bundle, folder, threads
    with started("wav2edge", *arguments) as ours, started("optimum", *arguments) as theirs:
        connections = {"wav2edge": ours, "optimum": theirs}
        for length, clip in clips.items():
            latency[length], found = in_turns(connections, clip, rounds, f"{length} s")
            errors[length] = {system: error(logits, expected[length]) for system, logits in found.items()}
    return {"latency": latency, "relative_rms_error": errors}


def in_turns(
    connections: Mapping[str, Connection], clip: Samples, rounds: int, name: str
) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float32]]]:
    """Latency of each system on a clip, and its logits; each runs once per round."""
    inputs = {system: SYSTEMS[system][1](clip) for system in connections}
    taken: dict[str, list[tuple[float, float]]] = {system: [] for system in connections}
    found = {}
    for _ in track(range(rounds + DISCARDED), name, rounds + DISCARDED):
        for system, connection in connections.items():
            connection.send(inputs[system])
            found[system], wall_s, processor_s = connection.recv()
            taken[system].append((1e3 * wall_s, 1e3 * processor_s))
    return {clock: summary(taken, place) for place, clock in enumerate(("wall", "processor"))}, found


def summary(taken: Mapping[str, Sequence[tuple[float, float]]], place: int) -> dict[str, Any]:
    """Times by one clock: every sample, the medians, their ratio, and the quartiles of the rounds' ratios."""
    samples_ms = {system: [round(times[place], 2) for times in turns[DISCARDED:]] for system, turns in taken.items()}
    pairs = [ours / theirs for ours, theirs in zip(samples_ms["wav2edge"], samples_ms["optimum"], strict=True)]
    medians_ms = {system: median(values) for system, values in samples_ms.items()}
    return {
        "of_optimum": round(medians_ms["wav2edge"] / medians_ms["optimum"], 4),
        "quartiles_of_rounds": [round(each, 4) for each in quantiles(pairs, n=4)],
        "median_ms": medians_ms,
        "samples_ms": samples_ms,
    }


def error(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """Root mean square of the difference over that of the logits."""
    return float(np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)))


if __name__ == "__main__":
    main()
