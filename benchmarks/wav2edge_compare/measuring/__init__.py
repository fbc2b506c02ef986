"""Measurements: one process per system, in turns."""
