"""`wav2edge doctor` on what Optimum exports, and on what wav2edge makes of the same checkpoint."""

from __future__ import annotations

import json

import pytest
from optimum.exporters.onnx import main_export

from wav2edge.cli import main
from wav2edge_train.checkpoint.library_logging import quiet_exporters

pytestmark = pytest.mark.slow


def names_in(capsys, source):
    code = main(["doctor", str(source), "--json"])
    return {each["name"] for each in json.loads(capsys.readouterr().out)["findings"]}, code


def test_a_plain_export_of_optimum_lacks_a_mask_is_fp32_and_has_its_attention_in_parts(checkpoints, tmp_path, capsys):
    with quiet_exporters():
        main_export(str(checkpoints("ctc")), tmp_path, task="automatic-speech-recognition", do_validation=False)
    capsys.readouterr()
    wanted = {"missing-mask", "unfused-attention", "float-weights"}
    assert names_in(capsys, tmp_path / "model.onnx") == (wanted, 1)


def test_an_older_opset_has_its_layer_norms_in_parts(checkpoints, tmp_path, capsys):
    how = {"task": "automatic-speech-recognition", "do_validation": False, "opset": 14}
    with quiet_exporters():
        main_export(str(checkpoints("ctc")), tmp_path, **how)
    capsys.readouterr()
    assert "decomposed-layernorm" in names_in(capsys, tmp_path / "model.onnx")[0]


def test_a_bundle_of_the_same_checkpoint_has_no_findings(bundles, capsys):
    bundle = bundles("ctc")
    capsys.readouterr()
    assert names_in(capsys, bundle.folder) == (set(), 0)
