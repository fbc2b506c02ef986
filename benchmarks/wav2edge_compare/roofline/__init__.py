"""Where the time of a graph goes, and how near each class of operators comes to what this machine can do."""

from wav2edge_compare.roofline.attribution import ClassTime, Roofline, RooflineSample
from wav2edge_compare.roofline.roofline_measurement import roofline
from wav2edge_compare.roofline.roofs import Roofs

__all__ = ["ClassTime", "Roofline", "RooflineSample", "Roofs", "roofline"]
