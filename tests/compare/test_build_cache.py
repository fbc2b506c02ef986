"""Each build is made once and kept."""

import pytest

from wav2edge.errors import BenchmarkError
from wav2edge_compare.peers import build_cache
from wav2edge_compare.peers.build_cache import BuildCache
from wav2edge_compare.peers.checkpoint_facts import read_facts


@pytest.mark.slow
def test_a_build_is_repeated_only_when_something_it_depends_on_has_changed(checkpoints, monkeypatch, tmp_path):
    facts, lines = read_facts(checkpoints("group-norm ctc")), []
    folder = BuildCache(facts, tmp_path, [], log=lines.append).build("ctc")
    assert BuildCache(facts, tmp_path, [], log=lines.append).build("ctc") == folder
    assert lines == ["building ctc"]
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0")
    monkeypatch.setattr(build_cache, "BUILDER", "wav2edge_compare.nothing")
    cache = BuildCache(facts, tmp_path, [], log=lines.append)
    for _ in range(2):  # the reason is remembered, and builds that need it fail with it
        with pytest.raises(BenchmarkError, match="No module named"):
            cache.build("onnx")
    assert lines == ["building ctc"] * 2
