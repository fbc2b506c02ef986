"""Recordings on a Ray cluster: ``wav2edge.ray.map(dataset, bundle)``. Ray is imported when it is called."""

from wav2edge.inference.feeding.archives.ray_data import map_dataset as map  # noqa: A004 it is what Ray calls it

__all__ = ["map"]
