"""What a manifest says of the graphs that recognise streams and compute nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wav2edge.bundle.geometry import ConvGeometry

STATISTICS = "statistics"
"""The state that holds the sum of the samples and that of their squares."""
STATE_TYPES = ("float32", "float64", "int64")


@dataclass(frozen=True, kw_only=True)
class StreamState:
    """A tensor that a graph takes as input ``NAME`` and gives as output ``next.NAME``; all zeros at the beginning."""

    shape: tuple[int, ...]
    type: str = "float32"

    def __post_init__(self) -> None:
        if self.type not in STATE_TYPES or not all(isinstance(size, int) and size > 0 for size in self.shape):
            raise ValueError(f"a state of a stream has shape {list(self.shape)} and type {self.type!r}")


@dataclass(frozen=True, kw_only=True)
class CachedStreams:
    """How a bundle recognises streams. Frames are those of the model, 20 ms each.

    Attributes:
        chunk_frames: new frames in a chunk, for each kind of chunk that is certified; the first is the default.
        left_frames: frames before a chunk that it attends to.
        look_ahead_frames: frames after a chunk that it is computed with.
        delay_frames: the outputs of a frame are read so many frames after it.
        states: what a graph keeps from chunk to chunk, by name.
        files: the graph of each precision; one serves every chunk.
    """

    chunk_frames: tuple[int, ...]
    left_frames: int
    look_ahead_frames: int
    delay_frames: int
    states: Mapping[str, StreamState]
    files: Mapping[str, str]

    def __post_init__(self) -> None:
        frames = (*self.chunk_frames, self.left_frames, self.look_ahead_frames + 1, self.delay_frames + 1)
        if not self.chunk_frames or not all(isinstance(count, int) and count > 0 for count in frames):
            raise ValueError("'stream' needs chunks of one frame or more, and a left context")

    @property
    def normalizes(self) -> bool:
        """Whether the graphs bring the sound to zero mean and unit variance, of all that a stream has heard so far."""
        return STATISTICS in self.states

    def block_samples(self, chunk_frames: int, geometry: ConvGeometry) -> int:
        """Samples that a chunk is computed from."""
        return geometry.hop * (chunk_frames + self.look_ahead_frames - 1) + geometry.receptive_field

    def to_dict(self) -> dict[str, Any]:
        """The entry ``stream`` of the manifest."""
        return {
            "chunk_frames": list(self.chunk_frames),
            "left_frames": self.left_frames,
            "look_ahead_frames": self.look_ahead_frames,
            "delay_frames": self.delay_frames,
            "files": dict(self.files),
            "states": {name: {"shape": list(state.shape), "type": state.type} for name, state in self.states.items()},
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> CachedStreams:
        """Read it back.

        Raises:
            ValueError: something is missing or is not what it should be.
        """
        try:
            return cls(
                chunk_frames=tuple(entry["chunk_frames"]),
                left_frames=entry["left_frames"],
                look_ahead_frames=entry["look_ahead_frames"],
                delay_frames=entry["delay_frames"],
                states={
                    name: StreamState(shape=tuple(state["shape"]), type=state["type"])
                    for name, state in entry["states"].items()
                },
                files={name: str(file) for name, file in entry["files"].items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"'stream' is damaged ({error})") from None
