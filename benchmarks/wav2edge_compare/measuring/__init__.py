"""Measurements, one process for each system, in turns."""
