"""Sums in front of layer norms, in a form that ONNX Runtime does not fuse with them.

When it loads a graph, ONNX Runtime fuses an ``Add`` that only a ``LayerNormalization`` reads into
``SkipLayerNormalization``, whose kernel for CPUs is slower than the two that it replaces: at base shape in int8 with
one thread, a WavLM takes 3 % less time without it. It knows ``Add`` only, not ``Sum``, which computes the same.

https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/optimizer/skip_layer_norm_fusion.cc
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx


def keep_sums_apart(path: Path) -> int:
    """Turn each ``Add`` of two activations that only a layer norm reads into a ``Sum``, in place.

    Returns:
        How many there were.
    """
    model = onnx.load(str(path))
    graph = model.graph
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(output.name for output in graph.output)
    sums = {node.output[0]: node for node in graph.node if node.op_type == "Add"}
    constants = {tensor.name for tensor in graph.initializer}
    found = 0
    for norm in graph.node:
        add = sums.get(norm.input[0]) if norm.op_type == "LayerNormalization" else None
        if add is not None and readers[add.output[0]] == 1 and constants.isdisjoint(add.input):
            add.op_type = "Sum"
            found += 1
    if found:
        onnx.save(model, str(path))
    return found
