"""The peak of this machine: large MatMuls through ONNX Runtime, and a large memory copy."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from wav2edge.inference.sessions.device import open_session, physical_cores

ROWS = 1024
SHAPES = ((1024, 4096), (4096, 1024))
"""Terms and columns of the two large MatMuls in a transformer layer of XLSR-53."""
COPY_BYTES = 1 << 28
"""Larger than any cache."""
REPEATS = 5

Weights = npt.NDArray[np.int8] | npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Roofs:
    """The best measured rates: MatMuls in multiply-accumulates per second, memory in bytes read and written."""

    int8_macs_per_s: float
    fp32_macs_per_s: float
    memory_bytes_per_s: float

    def best(self, other: Roofs) -> Roofs:
        """The higher roofs of two measurements: other load on the machine can only lower one."""
        return Roofs(**{name: max(value, vars(other)[name]) for name, value in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class MatMulGraph:
    """A graph of one node, its input, and its multiply-accumulates."""

    model: onnx.ModelProto
    feeds: Mapping[str, npt.NDArray[np.generic]]
    macs: int


def measure_roofs(*, threads: int | None = None) -> Roofs:
    """Measure all three, with as many threads as the graph under test."""
    return Roofs(
        int8_macs_per_s=max(_rate(int8_matmul(*shape), threads) for shape in SHAPES),
        fp32_macs_per_s=max(_rate(fp32_matmul(*shape), threads) for shape in SHAPES),
        memory_bytes_per_s=_copy_rate(threads or physical_cores()),
    )


def int8_matmul(terms: int, columns: int) -> MatMulGraph:
    """Unsigned activations by signed 7-bit weights, which saturate on no processor."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-64, 64, (terms, columns), np.int8)
    values = rng.integers(0, 256, (ROWS, terms), np.uint8)
    return _matmul("MatMulInteger", weights, values, TensorProto.UINT8, TensorProto.INT32)


def fp32_matmul(terms: int, columns: int) -> MatMulGraph:
    """Normally distributed activations and weights."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((terms, columns), np.float32)
    values = rng.standard_normal((ROWS, terms), np.float32)
    return _matmul("MatMul", weights, values, TensorProto.FLOAT, TensorProto.FLOAT)


def open_matmul(matmul: MatMulGraph, *, threads: int | None, spinning: bool = True) -> Any:
    """A session with the engine's settings."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "matmul.onnx"
        onnx.save(matmul.model, str(path))
        return open_session(path, threads=threads, spinning=spinning)[0]


def _matmul(operator: str, weights: Weights, values: npt.NDArray[np.generic], given: int, made: int) -> MatMulGraph:
    graph = helper.make_graph(
        [helper.make_node(operator, ["values", "weights"], ["output"])],
        operator,
        [helper.make_tensor_value_info("values", given, values.shape)],
        [helper.make_tensor_value_info("output", made, [len(values), weights.shape[1]])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return MatMulGraph(model=model, feeds={"values": values}, macs=values.shape[0] * weights.size)


def _rate(matmul: MatMulGraph, threads: int | None) -> float:
    session = open_matmul(matmul, threads=threads)
    return matmul.macs / _shortest_s(lambda: session.run(None, matmul.feeds))


def _copy_rate(threads: int) -> float:
    """Each thread copies its own part, as ONNX Runtime does."""
    source = np.ones((threads, COPY_BYTES // threads), np.uint8)
    target = np.zeros_like(source)
    with ThreadPoolExecutor(threads) as pool:
        taken_s = _shortest_s(lambda: list(pool.map(np.copyto, target, source)))
    return 2 * source.nbytes / taken_s


def _shortest_s(run: Callable[[], object]) -> float:
    """The shortest of a few runs after a warm-up."""
    run()
    taken_s = []
    for _ in range(REPEATS):
        started_s = time.perf_counter()
        run()
        taken_s.append(time.perf_counter() - started_s)
    return min(taken_s)
