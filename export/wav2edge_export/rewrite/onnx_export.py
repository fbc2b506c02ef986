"""From a checkpoint to one fp32 ONNX graph, through Optimum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from optimum.exporters.onnx import export
from optimum.exporters.onnx.model_configs import Wav2Vec2OnnxConfig
from optimum.utils import DummyAudioInputGenerator
from torch import nn

from wav2edge.bundle.heads import Heads
from wav2edge.errors import CheckpointError
from wav2edge.inference.many_clips import INPUT, MASK
from wav2edge_export.rewrite import RewriteResult, rewrite
from wav2edge_export.rewrite.inputs.model_inputs import inputs_of
from wav2edge_train.checkpoint.library_logging import quiet_exporters
from wav2edge_train.checkpoint.loading import Checkpoint

OPSET = 18
LARGEST_GRAPH_BYTES = 2 * 1024**3
"""Protocol buffers end there, and every graph is one self-contained file."""


class ServingModel(nn.Module):
    """What a bundle's graph computes: raw waveforms ``[batch, samples]`` in, one tensor for each head out."""

    def __init__(self, checkpoint: Checkpoint, *, operators: str, batched: bool = False) -> None:
        super().__init__()
        self.config = checkpoint.model.config
        self.names, self.framed = checkpoint.heads.outputs, checkpoint.heads.framed
        self.inputs = inputs_of(checkpoint)
        self.result = rewrite(checkpoint.model, operators=operators)
        self.model: nn.Module = self.result.model
        if batched:
            from wav2edge_export.rewrite.padded_batches import PaddedBatchModel

            self.model = PaddedBatchModel(self.result.model)

    def forward(
        self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Outputs by the names that the heads read; the mask ``[batch, samples]`` is that of the batched flavour."""
        masks = () if attention_mask is None else (attention_mask,)
        outputs = self.model(*self.inputs(input_values, *masks))
        cut = {name: self.inputs.cut(outputs[name], input_values) for name in self.framed}
        return {name: cut.get(name, outputs[name]) for name in self.names}


class _PaddedBatch(DummyAudioInputGenerator):
    """What the graph is traced with: the last clip of the batch is padded."""

    SUPPORTED_INPUT_NAMES = (INPUT, MASK)
    MASK_TYPE = torch.long

    def generate(self, input_name: str, *args: Any, **options: Any) -> torch.Tensor:
        if input_name == INPUT:
            return super().generate(input_name, *args, **options)
        mask = torch.ones(self.batch_size, self.sequence_length, dtype=self.MASK_TYPE)
        mask[-1, self.sequence_length // 2 :] = 0
        return mask


class _PaddedBatchForGpu(_PaddedBatch):
    """The same with a mask of bytes: one of ``int64`` would be twice as much to copy to the GPU as the samples."""

    MASK_TYPE = torch.bool


def _onnx_config(checkpoint: Checkpoint, *, batched: bool, for_gpu: bool) -> Wav2Vec2OnnxConfig:
    names = (INPUT, MASK) if batched else (INPUT,)
    inputs = {name: {0: "batch", 1: "samples"} for name in names}
    outputs = dynamic_axes(checkpoint.heads)

    class ServingOnnxConfig(Wav2Vec2OnnxConfig):
        """Optimum's description of our graph: the ecosystem's names, every dynamic axis declared."""

        DUMMY_INPUT_GENERATOR_CLASSES = (_PaddedBatchForGpu if for_gpu else _PaddedBatch,)

        @property
        def inputs(self) -> dict[str, dict[int, str]]:
            return inputs

        @property
        def outputs(self) -> dict[str, dict[int, str]]:
            return outputs

    return ServingOnnxConfig(checkpoint.model.config, task="automatic-speech-recognition")


def dynamic_axes(heads: Heads) -> dict[str, dict[int, str]]:
    """Axes that vary: ``[batch, frames, columns]`` of what is said frame by frame, ``[batch, columns]`` of the rest."""
    return {name: {0: "batch", 1: "frames"} if name in heads.framed else {0: "batch"} for name in heads.outputs}


def export_graph(
    checkpoint: Checkpoint, path: Path, *, operators: str, batched: bool = False, transient: bool = False
) -> RewriteResult:
    """Write the fp32 graph of a checkpoint as one self-contained file.

    Args:
        checkpoint: what to export.
        path: the file to write.
        operators: see ``rewrite``.
        batched: the graph takes a mask next to the samples, and padded clips give the outputs they give alone.
        transient: it is only what smaller graphs are made of, so weights of 2 GB and more may be in files next to it,
            whose names begin with its own.

    Returns:
        What the rewrite replaced on the way, and what it kept.

    Raises:
        CheckpointError: the graph would not fit one file, cannot be exact over padded batches, or has parts that no
            rule for GPUs knows.
    """
    size_bytes = sum(parameter.numel() * 4 for parameter in checkpoint.model.parameters())
    if size_bytes >= LARGEST_GRAPH_BYTES and not transient:
        raise CheckpointError(
            f"{checkpoint.name}: {size_bytes / 1e9:.1f} GB of fp32 weights do not fit one ONNX file of 2 GB;"
            " export it in int8 or int4 alone, without streams"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    serving = ServingModel(checkpoint, operators=operators, batched=batched).eval()
    if operators == "gpu" and serving.result.unchanged:
        kept = serving.result.unchanged[0]
        raise CheckpointError(
            f"{checkpoint.name}: no graph for GPUs, since {kept.path} cannot be replaced: {kept.reason}; export with"
            " --batched alone"
        )
    with quiet_exporters():
        config = _onnx_config(checkpoint, batched=batched, for_gpu=operators == "gpu")
        export(serving, config, path, opset=OPSET)
    if not transient:
        require_self_contained(path)
    return serving.result


def require_self_contained(path: Path) -> None:
    """Refuse a graph with weights in another file."""
    graph = onnx.load(str(path), load_external_data=False).graph
    outside = [tensor.name for tensor in graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        raise CheckpointError(f"{path}: {len(outside)} tensors are outside the file; a bundle's graph is one file")
