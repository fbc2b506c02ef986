"""The folder that the package onnx-asr loads as ``wav2vec2-ctc``, made of the graphs of a bundle.

Its class (``onnx_asr/models/wav2vec2.py`` of 2026; releases up to 0.12.0 lack it) gives a graph ``input_values``
float32 ``[batch, samples]`` and ``input_lengths`` int64 ``[batch]``, and takes ``logprobs`` ``[batch, frames,
vocabulary]``. Of a clip it reads the first ``samples // subsampling_factor + 1`` rows, up to two more than the clip has
frames, so behind the frames there must be blanks. It decodes the best path with the tokens of ``vocab.txt``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from wav2edge.bundle.folder import CERTIFICATE, Bundle
from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import CtcHead
from wav2edge.bundle.manifest import Variant
from wav2edge.errors import CheckpointError
from wav2edge.inference.many_clips import INPUT, MASK
from wav2edge.output.documents import write_json
from wav2edge_export.bundle.writing import staged_folder
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.exporting import Export, export_bundle
from wav2edge_export.interchange.graph_editing import NewNodes, drop_unused, rename
from wav2edge_train.checkpoint.loading import read_small_files

MODEL_TYPE = "wav2vec2-ctc"
LENGTHS, LOG_PROBABILITIES = "input_lengths", "logprobs"
BLANK, SPACE = "<blk>", "\u2581"
"""Names of the blank and of the word delimiter in ``vocab.txt``."""
PADDED = "padded_values"
"""Clips of one frame at least: an engine of a bundle pads them, and onnx-asr does not."""
IMPOSSIBLE = -1e4
"""Log probability of every token but the blank behind the end of a clip."""
PART = ".bundle"
"""Where the bundle is until its graphs are rewritten."""


def export_for_onnx_asr(options: ExportOptions, *, log: Callable[[str], None] = lambda line: None) -> Export:
    """Export and certify a bundle, and write its graphs as onnx-asr loads them; the bundle itself is not kept.

    Args:
        options: what is asked for; ``output`` is the folder for onnx-asr.
        log: gets one line per stage as it begins.

    Returns:
        The export; its ``bundle`` is gone by then.

    Raises:
        ParityError, CheckpointError, DataError, UsageError: as of ``export_bundle``, or onnx-asr could not decode with
            such a vocabulary; nothing was written.
    """
    _, _, architecture = read_small_files(options.checkpoint)
    if "ctc" not in architecture.outputs:
        raise CheckpointError(f"{options.checkpoint}: does not transcribe, and onnx-asr runs models that do")
    with staged_folder(options.output, replaceable=_is_layout) as folder:
        export = export_bundle(replace(options, output=folder / PART), log=log)
        write_layout(export.bundle, folder)
        shutil.rmtree(folder / PART)
    return export


def write_layout(bundle: Bundle, folder: Path) -> None:
    """Write what onnx-asr loads into an empty folder.

    Args:
        bundle: with a CTC head.
        folder: gets ``model.onnx`` for fp32 and ``model.PRECISION.onnx`` for others, ``vocab.txt``, ``config.json`` and
            the bundle's certificate.

    Raises:
        CheckpointError: the model has no CTC head, or a vocabulary that onnx-asr could not decode with.
    """
    head, geometry = bundle.manifest.heads.ctc, bundle.manifest.geometry
    if head is None:
        raise CheckpointError(f"{bundle.manifest.name}: does not transcribe, and onnx-asr runs models that do")
    vocabulary = vocabulary_lines(head)
    for variant in bundle.manifest.variants.values():
        model = onnx.load(str(bundle.checked(variant.file)))
        onnx.save(with_lengths(model, head, geometry, batched=variant.batched), str(folder / layout_file(variant)))
    (folder / "vocab.txt").write_text(vocabulary, encoding="utf-8")
    write_json(folder / "config.json", {"model_type": MODEL_TYPE, "subsampling_factor": geometry.hop})
    shutil.copyfile(bundle.checked(CERTIFICATE), folder / CERTIFICATE)


def layout_file(variant: Variant) -> str:
    """The name that onnx-asr looks for, given ``quantization="int8"`` or none."""
    return "model.onnx" if variant.precision == "fp32" else f"model.{variant.precision}.onnx"


def vocabulary_lines(head: CtcHead) -> str:
    """``vocab.txt``: a token and its id per line; tokens that are not written have no letters there.

    Raises:
        CheckpointError: a token has a space, or what is written between tokens is no letter of any.
    """
    spaced = [token for token in head.vocabulary if any(letter.isspace() for letter in token)]
    if spaced or head.token_separator:
        reason = f"the token {spaced[0]!r} has a space" if spaced else "its tokens have spaces between them"
        raise CheckpointError(f"the vocabulary cannot be written for onnx-asr: {reason}; leave --layout out")
    lines = []
    for column, token in enumerate(head.vocabulary):
        written = "" if column in head.silent_ids else token.lower() if head.lower_case else token
        if column == head.delimiter_id:
            written = head.delimiter_text.replace(" ", SPACE)
        lines.append(f"{BLANK if column == head.blank_id else written} {column}\n")
    return "".join(lines)


def with_lengths(model: onnx.ModelProto, head: CtcHead, geometry: ConvGeometry, *, batched: bool) -> onnx.ModelProto:
    """The graph behind onnx-asr's inputs and in front of its output.

    Args:
        model: a bundle's graph; it is changed.
        head: what its output means.
        geometry: how samples become frames.
        batched: the graph takes a mask, which is made of the lengths. Without one it takes one clip at a time: its
            batch axis is 1, so that ONNX Runtime refuses clips padded together, whose padding it would hear.
    """
    graph = model.graph
    rename(graph, INPUT, PADDED)
    front, behind = NewNodes(graph, "lengths"), NewNodes(graph, "logprobs")
    missing = front.add("Sub", front.constant(geometry.receptive_field), front.size(INPUT, 1))
    at_the_end = front.add("Max", missing, front.constant(0))
    front.add("Pad", INPUT, front.add("Concat", front.constant(0, 0, 0), at_the_end, axis=0), output=PADDED)
    if batched:
        lengths = front.add("Max", LENGTHS, front.constant(geometry.receptive_field))
        own = front.add("Less", front.count(front.size(PADDED, 1)), front.add("Unsqueeze", lengths, front.constant(1)))
        kind = next(each.type.tensor_type.elem_type for each in graph.input if each.name == MASK)
        front.add("Cast", own, output=MASK, to=kind)
        spoken = behind.add("LogSoftmax", head.output, axis=-1)
        _blank_behind_the_end(behind, spoken, lengths, head, geometry)
    else:
        behind.add("LogSoftmax", head.output, output=LOG_PROBABILITIES, axis=-1)
    front.put_in_front()
    behind.put_behind()
    batch: str | int = "batch" if batched else 1
    _declare(graph, batch, len(head.vocabulary))
    drop_unused(graph)
    onnx.checker.check_model(model)
    return model


def _blank_behind_the_end(nodes: NewNodes, spoken: str, lengths: str, head: CtcHead, geometry: ConvGeometry) -> None:
    """Log probabilities with blanks behind the frames of each clip, as many as the convolutions give."""
    count = lengths
    for kernel, stride in zip(geometry.kernels, geometry.strides, strict=True):
        moves = nodes.add("Div", nodes.add("Sub", count, nodes.constant(kernel)), nodes.constant(stride))
        count = nodes.add("Add", moves, nodes.constant(1))
    numbers = nodes.count(nodes.size(spoken, 1))
    own = nodes.add("Less", numbers, nodes.add("Unsqueeze", count, nodes.constant(1)))
    blank = np.full((1, 1, len(head.vocabulary)), IMPOSSIBLE, np.float32)
    blank[..., head.blank_id] = 0.0
    shown = nodes.add("Unsqueeze", own, nodes.constant(2))
    nodes.add("Where", shown, spoken, nodes.tensor(blank), output=LOG_PROBABILITIES)


def _declare(graph: onnx.GraphProto, batch: str | int, width: int) -> None:
    """Declare the inputs and the output that onnx-asr asks for, in place of the bundle's."""
    for field in (graph.input, graph.output, graph.value_info):
        del field[:]
    graph.input.extend(
        [
            helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [batch, "samples"]),
            helper.make_tensor_value_info(LENGTHS, TensorProto.INT64, [batch]),
        ]
    )
    graph.output.append(helper.make_tensor_value_info(LOG_PROBABILITIES, TensorProto.FLOAT, [batch, "frames", width]))


def _is_layout(folder: Path) -> bool:
    """Whether a folder was written for onnx-asr, and may be written anew."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("model_type") == MODEL_TYPE
