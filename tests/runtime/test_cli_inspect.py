"""`wav2edge inspect`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from wav2edge.bundle.manifest import sealed

WORDS = Path(__file__).parents[2] / "models/words"


def test_inspect_describes_a_bundle_without_opening_a_graph(cli, own_bundle):
    (own_bundle / "onnx/model.onnx").unlink()
    outcome = cli("inspect", own_bundle, "--json")
    assert outcome.code == 0
    facts = outcome.json
    assert (facts["heads"], facts["labels"]) == (["ctc", "classification"], ["0", "1", "2", "3"])
    assert (facts["frame_ms"], facts["shortest_clip_ms"], facts["speed_class"]) == (20.0, 25.0, "tiny")
    assert facts["manifest_sha256"] == hashlib.sha256((own_bundle / "manifest.json").read_bytes()).hexdigest()
    assert facts["variants"]["int8"]["size_bytes"] == (own_bundle / "onnx/model_quantized.onnx").stat().st_size
    text = cli("inspect", own_bundle).out
    assert "(default)" in text
    assert "frames      one per 20 ms; clips from 25 ms" in text


def test_inspect_shows_each_certificate_and_the_duration_that_they_cover(cli):
    facts = cli("inspect", WORDS, "--json").json
    verdict = facts["variants"]["int8"]["certificate"]
    assert (verdict["passed"], facts["certified_up_to_s"], verdict["certified_up_to_s"]) == (True, 30.0, 30.0)
    assert verdict["measured"]["changed_results"] == 5 / 240
    text = cli("inspect", WORDS).out
    assert "certified   up to 30 s of audio" in text
    assert "int8  certified: logits within 0.68" in text


def test_inspect_of_a_bundle_without_a_certificate_does_not_mention_one(cli, own_bundle):
    manifest = json.loads((own_bundle / "manifest.json").read_text())
    del manifest["files"]["certificate.json"]
    (own_bundle / "manifest.json").write_text(sealed(manifest))
    assert cli("inspect", own_bundle, "--json").json["variants"]["int8"]["certificate"] is None
    assert "certified" not in cli("inspect", own_bundle).out
