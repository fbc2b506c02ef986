"""What our own bundle leaves on the table: its operator classes beside the roofs of this machine, in the same run."""

from __future__ import annotations

import json

from wav2edge.bundle.folder import Bundle
from wav2edge.output.progress import Progress
from wav2edge_compare.comparison_options import ComparisonOptions
from wav2edge_compare.peers.systems import OURS
from wav2edge_compare.reporting.results import Comparison
from wav2edge_compare.reporting.sections import Section
from wav2edge_compare.roofline import roofline

ROOFLINE = "roofline.json"


def roof_sections(options: ComparisonOptions, comparison: Comparison) -> list[Section]:
    """The roofline of our variant as a section, and its record as a file; nothing where it was not measured."""
    if comparison.ours.failure is not None:
        return []
    bundle = Bundle.open(options.bundle)
    graph = bundle.check_size(bundle.variant(comparison.ours.name.removeprefix(f"{OURS}-")).file)
    with Progress("measuring the roof", len(options.durations_s) + 1) as progress:
        found = roofline(graph, options.durations_s, options.threads, advance=progress.advance)
    document = json.dumps(found.to_dict(), indent=1, allow_nan=False)
    (options.output / ROOFLINE).write_text(document + "\n", encoding="utf-8")
    return [(f"{comparison.ours.title}: where the time goes, and the roof", found.table())]
