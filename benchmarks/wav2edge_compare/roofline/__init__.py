"""Where a graph spends its time, and how near each operator class comes to the peak of this machine."""

from wav2edge_compare.roofline.attribution import ClassTime, Roofline, RooflineSample
from wav2edge_compare.roofline.roofline_measurement import roofline
from wav2edge_compare.roofline.roofs import Roofs

__all__ = ["ClassTime", "Roofline", "RooflineSample", "Roofs", "roofline"]
