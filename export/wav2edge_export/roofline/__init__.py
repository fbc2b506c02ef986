"""Where the time of a graph goes, and how near each class of operators comes to what this machine can do."""

from wav2edge_export.roofline.attribution import ClassTime, Roofline, RooflineSample
from wav2edge_export.roofline.measurement import roofline
from wav2edge_export.roofline.roofs import Roofs

__all__ = ["ClassTime", "Roofline", "RooflineSample", "Roofs", "roofline"]
