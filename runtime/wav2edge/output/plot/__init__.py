"""A picture of what was recognised: the waveform, its segments, and the words where they were said.

It needs Matplotlib, from the extra ``plot``, which is imported when a picture is drawn.
"""

from wav2edge.output.plot.picture import SUFFIXES, check_plot, write_plot

__all__ = ["SUFFIXES", "check_plot", "write_plot"]
