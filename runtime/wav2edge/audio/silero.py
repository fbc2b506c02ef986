"""Voice activity by Silero's neural network, in place of energy: https://github.com/snakers4/silero-vad (MIT)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from wav2edge.audio.voice_activity import FloatArray
from wav2edge.bundle.geometry import SAMPLE_RATE_HZ
from wav2edge.errors import MissingDependencyError, UsageError

CONTEXT = 64
"""Samples before a step that the network sees with it."""
STATE_SHAPE = (2, 1, 128)
INPUTS = {"input", "state", "sr"}
INSTALLED = "silero"
"""Stands for the graph in the installed package ``silero-vad``."""


class SileroDetector:
    """Probabilities of speech, one for every 512 samples; see ``wav2edge.audio.voice_activity.Detector``.

    Args:
        graph: path of ``silero_vad.onnx`` (versions 5 and 6), or ``silero`` for that of the installed package.

    Raises:
        MissingDependencyError: the package is not installed.
        UsageError: the file is not there, or is another graph.
    """

    hop, ahead = 512, 0
    starts_above, ends_below = 0.5, 0.35

    def __init__(self, graph: str) -> None:
        from onnxruntime import InferenceSession, SessionOptions

        path = installed_graph() if graph == INSTALLED else Path(graph)
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its bindings raise a dozen unrelated types
            reason = " ".join(str(error).split()) if path.is_file() else "no such file"
            raise UsageError(f"{path}: {reason}; give energy, silero, or the path of silero_vad.onnx") from None
        if {each.name for each in self._session.get_inputs()} != INPUTS:
            raise UsageError(f"{path}: not Silero's graph, whose inputs are {', '.join(sorted(INPUTS))}")
        self._start()

    def _start(self) -> None:
        self._state = np.zeros(STATE_SHAPE, np.float32)
        self._waiting = np.zeros(CONTEXT, np.float32)

    def feed(self, samples: FloatArray) -> FloatArray:
        """See ``Detector``."""
        waiting = np.concatenate([self._waiting, samples])
        steps = (len(waiting) - CONTEXT) // self.hop
        scores = [self._score(waiting[step * self.hop :][: CONTEXT + self.hop]) for step in range(steps)]
        self._waiting = waiting[steps * self.hop :]
        return np.asarray(scores, np.float32)

    def finish(self) -> FloatArray:
        """See ``Detector``; the last samples are padded with zeros."""
        left = len(self._waiting) - CONTEXT
        scores = self.feed(np.zeros(self.hop - left, np.float32)) if left else np.zeros(0, np.float32)
        self._start()
        return scores

    def _score(self, window: FloatArray) -> float:
        feeds = {"input": window[None], "state": self._state, "sr": np.array(SAMPLE_RATE_HZ, np.int64)}
        probability, self._state = self._session.run(None, feeds)
        return float(probability.ravel()[0])


def installed_graph() -> Path:
    """The graph in the package ``silero-vad``, which is not imported: that would import PyTorch.

    Raises:
        MissingDependencyError: the package is not installed.
    """
    package = find_spec("silero_vad")
    if package is None or package.origin is None:
        raise MissingDependencyError(
            "silero-vad is not installed; run: pip install --no-deps silero-vad, or give the path of silero_vad.onnx"
        )
    return Path(package.origin).parent / "data" / "silero_vad.onnx"
