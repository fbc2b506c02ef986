"""From a checkpoint to one fp32 ONNX graph, through Optimum."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from optimum.exporters.onnx import export
from optimum.exporters.onnx.model_configs import Wav2Vec2OnnxConfig
from torch import nn

from wav2edge.errors import CheckpointError
from wav2edge.heads import Heads
from wav2edge_export.quiet import quiet_exporters
from wav2edge_export.surgery import Operation, Operators, ZeroMeanUnitVariance, operate
from wav2edge_train.checkpoint import Checkpoint

OPSET = 18
LARGEST_GRAPH_BYTES = 2 * 1024**3
"""Protocol buffers end there, and every graph is one self-contained file."""


class ServingModel(nn.Module):
    """What a bundle's graph computes: raw waveforms ``[batch, samples]`` in, one tensor for each head out."""

    def __init__(self, checkpoint: Checkpoint, *, operators: Operators) -> None:
        super().__init__()
        self.config = checkpoint.model.config
        self.names = checkpoint.heads.outputs
        self.normalization = ZeroMeanUnitVariance() if checkpoint.normalize else nn.Identity()
        self.operation = operate(checkpoint.model, operators=operators)
        self.model = self.operation.model

    def forward(self, input_values: torch.Tensor) -> dict[str, torch.Tensor]:
        """Outputs by the names that the heads read."""
        outputs = self.model(self.normalization(input_values))
        return {name: outputs[name] for name in self.names}


def _onnx_config(checkpoint: Checkpoint) -> Wav2Vec2OnnxConfig:
    inputs = {"input_values": {0: "batch", 1: "samples"}}
    outputs = dynamic_axes(checkpoint.heads)

    class ServingOnnxConfig(Wav2Vec2OnnxConfig):
        """Optimum's description of our graph: the ecosystem's names, every dynamic axis declared."""

        @property
        def inputs(self) -> dict[str, dict[int, str]]:
            return inputs

        @property
        def outputs(self) -> dict[str, dict[int, str]]:
            return outputs

    return ServingOnnxConfig(checkpoint.model.config, task="automatic-speech-recognition")


def dynamic_axes(heads: Heads) -> dict[str, dict[int, str]]:
    """Axes that vary: ``[batch, frames, vocabulary]`` of a CTC head, ``[batch, classes]`` of a classifier."""
    axes: dict[str, dict[int, str]] = {}
    if heads.ctc is not None:
        axes[heads.ctc.output] = {0: "batch", 1: "frames"}
    if heads.classification is not None:
        axes[heads.classification.output] = {0: "batch"}
    return axes


def export_graph(checkpoint: Checkpoint, path: Path, *, operators: Operators) -> Operation:
    """Write the fp32 graph of a checkpoint as one self-contained file.

    Returns:
        What the surgery replaced on the way, and what it kept.

    Raises:
        CheckpointError: the graph would not fit one file.
    """
    size_bytes = sum(parameter.numel() * 4 for parameter in checkpoint.model.parameters())
    if size_bytes >= LARGEST_GRAPH_BYTES:
        raise CheckpointError(
            f"{checkpoint.name}: {size_bytes / 1e9:.1f} GB of fp32 weights do not fit one ONNX file of 2 GB;"
            " export a smaller model"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    serving = ServingModel(checkpoint, operators=operators).eval()
    with quiet_exporters():
        export(serving, _onnx_config(checkpoint), path, opset=OPSET)
    require_self_contained(path)
    return serving.operation


def require_self_contained(path: Path) -> None:
    """Refuse a graph whose weights lie in another file."""
    graph = onnx.load(str(path), load_external_data=False).graph
    outside = [tensor.name for tensor in graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        raise CheckpointError(f"{path}: {len(outside)} tensors lie outside the file; a bundle's graph is one file")
