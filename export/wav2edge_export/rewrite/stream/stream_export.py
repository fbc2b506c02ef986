"""From a checkpoint that was trained for streams to the graph of one, through Optimum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from optimum.exporters.onnx import export
from optimum.exporters.onnx.model_configs import Wav2Vec2OnnxConfig

from wav2edge.bundle.cached_streams import CachedStreams
from wav2edge.bundle.heads import Heads
from wav2edge.errors import CheckpointError
from wav2edge.inference.many_clips import INPUT
from wav2edge.inference.sessions.stream_session import NEXT, SAMPLES
from wav2edge_export.rewrite import rewrite
from wav2edge_export.rewrite.onnx_export import OPSET, require_self_contained
from wav2edge_export.rewrite.stream.stream_model import StreamModel
from wav2edge_train.checkpoint.library_logging import quiet_exporters
from wav2edge_train.checkpoint.loading import Checkpoint
from wav2edge_train.model.chunked_encoder import Chunking
from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC

FRAMES_AXIS = "frames"


def check_streaming(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint that cannot stream.

    Raises:
        CheckpointError: it was not trained for streams, or its encoder has group norm.
    """
    config = checkpoint.model.config
    if config.feat_extract_norm == "group":
        raise CheckpointError(
            f"{checkpoint.name}: the group norm of its encoder sees the whole clip, so it cannot stream; use windowed"
            " streams, which need no export of their own"
        )
    if not isinstance(checkpoint.model, Wav2Vec2ForJointCTC) or getattr(config, "streaming", None) is None:
        raise CheckpointError(
            f"{checkpoint.name}: was not trained for streams; train it with --streaming, or use windowed streams, which"
            " need no export of their own"
        )


def export_stream_graph(
    checkpoint: Checkpoint, path: Path, *, chunkings: tuple[Chunking, ...], operators: str
) -> CachedStreams:
    """Write the fp32 graph of a stream as one self-contained file; one graph serves every chunk.

    Args:
        checkpoint: trained for streams.
        path: the file to write.
        chunkings: the chunks to serve, of one left context, look-ahead and delay.
        operators: ``fused`` or ``standard``, see ``rewrite``.

    Returns:
        What the manifest says of it, without files.

    Raises:
        CheckpointError: the checkpoint cannot stream.
    """
    check_streaming(checkpoint)
    largest = max(chunkings, key=lambda chunking: chunking.frames)
    serving = StreamModel(
        checkpoint.model,
        rewrite(checkpoint.model, operators=operators),
        largest,
        checkpoint.geometry,
        normalize=checkpoint.normalize,
    ).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    streams = CachedStreams(
        chunk_frames=tuple(chunking.frames for chunking in chunkings),
        left_frames=largest.left,
        look_ahead_frames=largest.look_ahead,
        delay_frames=largest.delay,
        states=serving.states,
        files={},
    )
    with quiet_exporters(), torch.no_grad():
        export(serving, _onnx_config(checkpoint, streams), path, opset=OPSET)
    require_self_contained(path)
    _declare_shapes(path, streams, checkpoint.heads)
    return streams


def _declare_shapes(path: Path, streams: CachedStreams, heads: Heads) -> None:
    """Write down the shapes of the outputs, some of which the exporter does not know."""
    model = onnx.load(str(path))
    shapes: dict[str, tuple[int | str, ...]] = {f"{NEXT}{name}": state.shape for name, state in streams.states.items()}
    shapes |= {name: (1, width) for name, width in heads.widths.items()}
    if heads.ctc is not None:
        shapes[heads.ctc.output] = (1, FRAMES_AXIS, len(heads.ctc.vocabulary))
    for output in model.graph.output:
        kind = output.type.tensor_type.elem_type
        output.CopyFrom(onnx.helper.make_tensor_value_info(output.name, kind, shapes[output.name]))
    onnx.save(model, str(path))


def _onnx_config(checkpoint: Checkpoint, streams: CachedStreams) -> Wav2Vec2OnnxConfig:
    """Optimum's description of the graph: the length of a chunk is the only axis that varies."""
    block = streams.block_samples(max(streams.chunk_frames), checkpoint.geometry)
    heads = checkpoint.heads
    inputs: dict[str, dict[int, str]] = {INPUT: {1: SAMPLES}, SAMPLES: {}, **{name: {} for name in streams.states}}
    outputs: dict[str, dict[int, str]] = {name: {} for name in heads.outputs}
    if heads.ctc is not None:
        outputs[heads.ctc.output] = {1: FRAMES_AXIS}
    outputs |= {f"{NEXT}{name}": {} for name in streams.states}

    class StreamOnnxConfig(Wav2Vec2OnnxConfig):
        """The inputs of ``StreamModel`` in their order."""

        @property
        def inputs(self) -> dict[str, dict[int, str]]:
            return inputs

        @property
        def outputs(self) -> dict[str, dict[int, str]]:
            return outputs

        def ordered_inputs(self, model: Any) -> dict[str, dict[int, str]]:
            return inputs

        def fix_dynamic_axes(self, *args: Any, **options: Any) -> None:
            """Leave the axes as they are declared: all but one are fixed already."""

        def generate_dummy_inputs(self, framework: str = "pt", **shapes: Any) -> dict[str, Any]:
            memory = [torch.zeros(state.shape, dtype=getattr(torch, state.type)) for state in streams.states.values()]
            return {INPUT: torch.randn(1, block), SAMPLES: torch.tensor([block]), "memory": memory}

    return StreamOnnxConfig(checkpoint.model.config, task="automatic-speech-recognition")
