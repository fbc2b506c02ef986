"""The command line of `wav2edge compare`."""

import pytest

from wav2edge.cli import main
from wav2edge_compare import compare_command


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--against", "torch"], "a comparison needs a BUNDLE, or --shape"),
        (["bundle", "--against", "torch"], "--checkpoint DIR"),
        (["bundle", "--shape", "xlsr-53"], "leave BUNDLE and --checkpoint out"),
        (["--shape", "xlsr-53", "--data", "data"], "leave --data out"),
        (["--shape", "enormous"], "unknown shape 'enormous'; choose xlsr-53, base"),
        (["bundle", "--against", "tensorflow", "--checkpoint", "c"], "--against takes all, or unique names of torch"),
        (
            ["bundle", "--against", "torch", "--checkpoint", "c", "--seconds", "1,x"],
            "--seconds takes comma-separated numbers",
        ),
        (["bundle", "--against", "torch", "--checkpoint", "c", "--rounds", "0"], "0 rounds"),
        ([], "a comparison needs a BUNDLE, or --shape"),
    ],
)
def test_options_that_exclude_each_other_are_refused_in_one_line(words, reason, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert reason in line


def test_a_missing_package_is_named_with_the_extra(capsys, monkeypatch):
    monkeypatch.setattr(compare_command, "NEEDED", ("no_such_package",))
    assert main(["compare", "bundle", "--against", "torch", "--checkpoint", "checkpoint"]) == 3
    assert capsys.readouterr().err == (
        "wav2edge: `wav2edge compare` needs no_such_package, which is not installed;"
        " run: pip install 'wav2edge[compare]'\n"
    )


@pytest.mark.slow
def test_an_invalid_bundle_or_checkpoint_is_refused_before_anything_is_built(bundles, checkpoints, capsys, tmp_path):
    for words in (
        [bundles("group-norm ctc").folder, "--checkpoint", tmp_path],
        [tmp_path, "--checkpoint", checkpoints("group-norm ctc")],
    ):
        assert main(["compare", *map(str, words), "--against", "torch", "--output", str(tmp_path / "out")]) == 3
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
