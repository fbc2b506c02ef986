"""Archives on processes of this machine: the answers of one process, whatever dies meanwhile."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

import wav2edge
from tests.archives.archive_lines import Gate, HalfWay, children, eventually, lines, lines_of_one_process
from tests.archives.conftest import sound
from wav2edge.errors import BundleError, UsageError

pytest.importorskip("pyarrow", reason="the extra archives is not installed")

pytestmark = pytest.mark.slow  # starts processes


@pytest.fixture
def output(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def archived(cli, bundle, output):
    """Run an archive on two processes from the command line."""

    def run(*words):
        return cli("run", bundle, *words, "--cluster", "local", "--workers", 2, "--output-dir", output)

    return run


def test_the_answers_are_those_of_one_process(archived, cli, bundle, recordings, output):
    done = archived(recordings, "--shard", 3)
    assert lines(output) == lines_of_one_process(cli, bundle, recordings)
    assert done.code == 1
    counts = sorted(line.split("\t")[1:] for line in done.out.splitlines())
    assert counts == [["2", "1", "0.4"], ["3", "0", "2.1"], ["3", "0", "2.3"]]
    assert done.complaints[-1] == "wav2edge: 1 of 8 recordings failed, the rest are answered; their rows have an error"
    assert "1 of 2 recordings failed, the first: " in done.complaints[0]


def test_tars_and_parquet_files_are_answered_as_their_clips(
    archived, cli, bundle, recordings, output, make_tar, make_parquet
):
    sounds = {path.name: path.read_bytes() for path in sorted(recordings.glob("?.wav"))}
    tar = make_tar("a.tar", sounds)
    parquet = make_parquet("b.parquet", {"audio": [{"bytes": each, "path": name} for name, each in sounds.items()]})
    assert archived(tar, parquet).code == 0
    found = list(wav2edge.read_archive(output))
    assert [each["source"] for each in found] == [str(tar)] * 7 + [str(parquet)] * 7
    answers = [{key: each[key] for key in each if key not in ("source", "row", "path")} for each in found]
    expected = [json.loads(line) for line in lines_of_one_process(cli, bundle, *sorted(recordings.glob("?.wav")))]
    assert answers == [{key: each[key] for key in each if key != "path"} for each in expected] * 2


def test_a_worker_that_is_killed_half_way_loses_nothing(bundle, recordings, output, tmp_path, long_clip):
    names = [long_clip, *sorted(recordings.glob("?.wav"))]
    gate = Gate(tmp_path / "opened")
    half_way = HalfWay(gate, 7, lambda: [process.kill() for process in children()])
    reports = wav2edge.recognise_archive(
        names,
        bundle,
        output,
        workers=2,
        clips_in_a_shard=1,
        decoder=gate,
        on_shard=half_way.on_shard,
        on_death=half_way.on_death,
    )
    assert half_way.deaths == [f"{long_clip}: its worker died (SIGKILL); it is done again"]
    assert [each.error for each in reports] == [None] * 8
    engine = wav2edge.load(bundle, threads=1)
    for found in wav2edge.read_archive(output):
        assert found["text"] == engine(found["path"]).text
    assert len(lines(output)) == 8
    assert children() == []
    assert [path.suffix for path in output.iterdir()] == [".parquet"] * 8


def test_a_shard_that_cannot_be_read_is_told_of_and_resumed_when_it_is_mended(archived, recordings, output, make_tar):
    good = make_tar("a.tar", {"1.wav": sound(8_000), "2.wav": sound(4_000)})
    content = good.read_bytes()
    good.write_bytes(content[:18_000])
    broken = archived(good, recordings / "0.wav")
    assert broken.code == 1
    assert len(list(output.iterdir())) == 1
    assert "a.tar: cannot be read as a tar after 1 recordings" in broken.complaints[0]
    assert broken.complaints[1].endswith("1 of 2 shards are not answered; mend them, and run again with --resume")
    good.write_bytes(content)
    mended = archived(good, recordings / "0.wav", "--resume")
    assert (mended.code, len(mended.out.splitlines()), mended.err) == (0, 1, "")
    assert len(lines(output)) == 3


def test_a_run_that_is_complete_is_resumed_at_once(archived, recordings):
    archived(recordings / "0.wav")
    again = archived(recordings / "0.wav", "--resume")
    assert (again.code, again.out, again.err) == (0, "", "")


def test_results_of_another_bundle_are_refused(archived, cli, recordings, output, own_bundle, edit_manifest):
    archived(recordings / "0.wav")
    edit_manifest(name="other")
    words = ("--cluster", "local", "--output-dir", output, "--resume")
    refused = cli("run", own_bundle, recordings / "0.wav", *words)
    assert refused.code == 2
    assert "parquet: bundle was " in refused.complaint
    assert refused.complaint.endswith("; resume with what it was, or give another folder")


def test_results_are_not_written_over_or_mixed(archived, recordings, make_tar):
    tar = make_tar("a.tar", {"1.wav": sound(8_000)})
    archived(tar)
    assert "holds results; resume them with --resume" in archived(tar).complaint
    assert "reject_below was 0.0 and is 0.5" in archived(tar, "--resume", "--reject", 0.5).complaint
    assert "not of a shard of these inputs" in archived(recordings, "--resume").complaint
    make_tar("a.tar", {"1.wav": sound(8_000), "2.wav": sound(4_000), "3.wav": sound(4_000)})
    assert "archive_bytes was " in archived(tar, "--resume").complaint


def test_options_of_an_engine_reach_every_worker(archived, cli, bundle, recordings, output):
    options = ("--variant", "int8", "--reject", 0.99, "--longest-segment", 1, "--beam", 4)
    archived(recordings, *options, "--shard", 4)
    assert lines(output) == lines_of_one_process(cli, bundle, recordings, *options)


def test_a_variant_that_is_damaged_is_the_one_line_of_the_run(own_bundle, recordings, output):
    graph = own_bundle / "onnx/model.onnx"
    graph.write_bytes(bytes(graph.stat().st_size))
    with pytest.raises(BundleError, match="damaged"):
        wav2edge.recognise_archive([recordings], own_bundle, output, workers=2, clips_in_a_shard=1)
    assert children() == []


def test_an_option_that_does_not_fit_the_engine_is_the_one_line_of_the_run(archived, recordings, output):
    refused = archived(recordings, "--batch", 4, "--shard", 2)
    assert refused.code == 2
    assert "takes one clip at a time" in refused.complaint
    assert list(output.iterdir()) == []


GATED = """
import sys
from pathlib import Path
from tests.archives.archive_lines import Gate
from wav2edge.cli import archived_run, main

archived_run.decoder_from = lambda options: Gate(Path(sys.argv[1]))
sys.exit(main(sys.argv[2:]))
"""
"""The command line with a ``Gate``."""


@pytest.fixture
def gated(python, bundle, recordings, output, tmp_path, long_clip):
    """Start an archive on two processes from the command line; the worker with the long clip waits at a gate."""

    def start(*words, **options):
        names = [*sorted(recordings.glob("?.wav")), long_clip]
        places = ["--cluster", "local", "--workers", 2, "--shard", 1, "--output-dir", output]
        if sys.platform != "win32":  # what a shell runs in the background ignores Ctrl-C
            options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        return python("-c", GATED, tmp_path / "opened", "run", bundle, *names, *places, *words, **options)

    return start


def results_in(output):
    return list(output.glob("*.parquet"))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_ends_all_processes_and_what_is_done_is_resumed(gated, output, tmp_path):
    process = gated(start_new_session=True)
    eventually(lambda: len(results_in(output)) == 7)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err.decode()) == (130, "wav2edge: interrupted\n")
    assert [path.suffix for path in output.iterdir()] == [".parquet"] * 7
    (tmp_path / "opened").touch()
    process = gated("--resume")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, len(out.splitlines()), err) == (0, 1, b"")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="workers are found in /proc")
def test_workers_end_with_a_run_that_is_killed_and_a_second_run_is_refused_until_then(gated, output, tmp_path):
    process = gated(start_new_session=True)
    eventually(lambda: len(results_in(output)) == 7)
    second = gated("--resume")
    assert second.wait(30) == 2
    assert f"{output}: process {process.pid} on " in second.communicate()[1].decode()
    process.kill()
    process.communicate(timeout=30)  # its pipes are closed once the workers have ended, too
    assert list(output.glob(".*.part"))
    (tmp_path / "opened").touch()
    process = gated("--resume")
    assert (process.wait(60), len(process.communicate()[0].splitlines())) == (0, 1)
    assert [path.suffix for path in output.iterdir()] == [".parquet"] * 8


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--cluster", "local"], "--cluster needs --output-dir"),
        (["--shard", "5", "--output-dir", "x"], "--shard needs --cluster"),
        (["--cluster", "local", "--output", "x"], "--output: the results of an archive are many files"),
        (["--cluster", "local", "--output-dir", "x", "--format", "srt"], "--format srt: the results of an archive"),
        (["--cluster", "local", "--output-dir", "x", "--plot", "a.png"], "--plot draws one recording"),
        (["--cluster", "local", "--output-dir", "x", "--profile", "auto"], "--profile is of one process"),
        (["--cluster", "moon", "--output-dir", "x"], "moon: no cluster; give local, ray, or the address of a Ray"),
        (["--cluster", "local", "--output-dir", "x", "--workers", "0"], "0 workers; at least 1 is needed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_that_do_not_go_together_are_refused(cli, bundle, clip, monkeypatch, tmp_path, words, reason):
    monkeypatch.chdir(tmp_path)
    refused = cli("run", bundle, clip, *words)
    assert (refused.code, refused.out) == (2, "")
    assert reason in refused.complaint


def test_names_of_archives_are_refused_in_python_with_the_argument(bundle, recordings, output):
    wav2edge.recognise_archive(recordings / "0.wav", bundle, output, workers=1)
    with pytest.raises(UsageError, match="resume=True"):
        wav2edge.recognise_archive(recordings / "0.wav", bundle, output, workers=1)
