"""Archives and Ray Datasets on a Ray of two workers: the answers of one process, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import wav2edge
import wav2edge.ray
from tests.archives.archive_lines import Gate, HalfWay, eventually, lines, lines_of_one_process
from tests.archives.conftest import sound
from wav2edge.errors import BundleError, DataError, UsageError
from wav2edge.inference.feeding.archives.ray_data import sound_columns
from wav2edge.inference.feeding.archives.shard_worker import EngineRecipe

pytestmark = pytest.mark.slow  # starts a cluster


@pytest.fixture(scope="module")
def ray():
    """A cluster of this machine with room for two workers."""
    found = pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        found.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield found
        found.shutdown()


def test_the_answers_are_those_of_one_process(ray, cli, bundle, recordings, tmp_path):
    words = ("--cluster", "ray", "--workers", 2, "--shard", 3, "--output-dir", tmp_path / "results")
    done = cli("run", bundle, recordings, *words)
    assert (done.code, len(done.out.splitlines())) == (1, 3)
    assert lines(tmp_path / "results") == lines_of_one_process(cli, bundle, recordings)


def actors() -> list[int]:
    """Processes of workers below this one."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, command = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(folder.name)] = (int(status.rpartition(")")[2].split()[1]), command)

    def is_ours(pid: int) -> bool:
        return pid in parents and (parents[pid][0] == os.getpid() or is_ours(parents[pid][0]))

    return [pid for pid, (_, command) in parents.items() if command.startswith(b"ray::ActorWorker") and is_ours(pid)]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="workers are found in /proc")
def test_a_worker_that_is_killed_half_way_loses_nothing(ray, bundle, recordings, tmp_path, long_clip):
    gate = Gate(tmp_path / "opened")
    half_way = HalfWay(gate, 7, lambda: [os.kill(pid, signal.SIGKILL) for pid in eventually(actors)])
    reports = wav2edge.recognise_archive(
        [long_clip, *sorted(recordings.glob("?.wav"))],
        bundle,
        tmp_path / "results",
        cluster="ray",
        workers=2,
        clips_in_a_shard=1,
        decoder=gate,
        on_shard=half_way.on_shard,
        on_death=half_way.on_death,
    )
    assert [each.error for each in reports] == [None] * 8
    assert len(lines(tmp_path / "results")) == 8
    (line,) = half_way.deaths
    assert line.startswith(f"{long_clip}: its worker died (")
    assert line.endswith("); it is done again")


def test_a_dataset_keeps_its_columns_and_gets_results(ray, engine, bundle, make_parquet, recordings):
    from wav2edge.bundle.folder import Bundle

    sounds = [path.read_bytes() for path in sorted(recordings.iterdir())]
    audio = [{"bytes": each, "path": f"{row}.wav"} for row, each in enumerate(sounds)]
    dataset = ray.data.read_parquet(str(make_parquet("a.parquet", {"text": list("abcdefgh"), "audio": audio})))
    found = sorted(wav2edge.ray.map(dataset, bundle, workers=1).take_all(), key=lambda row: row["text"])
    assert [row["text"] for row in found] == list("abcdefgh")
    assert {row["bundle"] for row in found} == {Bundle.open(bundle).manifest_sha256()}
    assert "audio" not in found[0]
    for row, path in zip(found[:7], sorted(recordings.iterdir()), strict=False):
        expected = engine(path)
        assert (row["result"]["text"], row["result"]["label"]) == (expected.text, expected.label)
    assert "dataset, row" in found[7]["result"]["error"]


def test_tars_of_ray_data_have_a_column_for_each_kind_of_sound(ray, engine, bundle, make_tar, tmp_path):
    make_tar("a.tar", {"a.wav": sound(8_000), "a.txt": b"fu dan", "b.wav": sound(16_000), "b.txt": b"bei jing"})
    dataset = ray.data.read_webdataset(str(tmp_path / "a.tar"))
    found = {row["__key__"]: row for row in wav2edge.ray.map(dataset, bundle, workers=1).take_all()}
    assert {key: row["txt"] for key, row in found.items()} == {"a": "fu dan", "b": "bei jing"}
    (tmp_path / "b.wav").write_bytes(sound(16_000))
    assert found["b"]["result"]["text"] == engine(tmp_path / "b.wav").text


def test_names_are_recognised_shard_by_shard_and_resumed(ray, bundle, recordings, tmp_path):
    output, names = tmp_path / "results", sorted(map(str, recordings.glob("?.wav")))
    assert wav2edge.ray.map(names, bundle, output, workers=2).count() == 7
    (written,) = output.iterdir()
    before = written.stat().st_mtime_ns
    assert wav2edge.ray.map(names, bundle, output, workers=2, resume=True).count() == 7
    assert written.stat().st_mtime_ns == before


def test_names_need_a_folder_and_a_dataset_has_no_shards(ray, bundle, recordings):
    with pytest.raises(UsageError, match="names of an archive need output"):
        wav2edge.ray.map([str(recordings)], bundle)
    with pytest.raises(UsageError, match=r"call \.write_parquet"):
        wav2edge.ray.map(ray.data.from_items([{"path": "a.wav"}]), bundle, "results")


def test_shards_that_cannot_be_answered_are_an_error_of_map(ray, bundle, tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no tar at all")
    with pytest.raises(DataError, match=r"1 shards are not answered, .*a\.tar: cannot be read as a tar"):
        wav2edge.ray.map([str(tmp_path / "a.tar")], bundle, tmp_path / "results")


def test_a_bundle_is_carried_to_machines_that_do_not_have_it(ray, own_bundle, recordings):
    from wav2edge.inference.feeding.archives.crews.ray_actors import carried_files, folder_here

    recipe = EngineRecipe.of(own_bundle, variant="int8")
    carried = [ray.put(carried_files(recipe))]
    assert folder_here(recipe, carried) is None
    expected = recipe.open_engine()(recordings / "0.wav")
    own_bundle.rename(own_bundle.with_name("away"))
    folder = Path(folder_here(recipe, carried))
    assert recipe.open_engine(str(folder))(recordings / "0.wav") == expected
    assert {path.name for path in (folder / "onnx").iterdir()} == {"model_quantized.onnx"}
    assert folder_here(recipe, carried) == str(folder)


def test_another_bundle_at_the_same_place_is_refused(own_bundle, edit_manifest):
    recipe = EngineRecipe.of(own_bundle)
    edit_manifest(name="other")
    with pytest.raises(BundleError, match="another bundle than the one that was given"):
        recipe.open_engine()


@pytest.mark.parametrize(
    ("names", "sounds"),
    [
        (["id", "audio", "path"], ["audio"]),
        (["bytes", "path"], ["bytes"]),
        (["__key__", "flac", "wav", "txt"], ["flac", "wav"]),
        (["__key__", "left.wav", "txt"], ["left.wav"]),
        (["id", "path"], ["path"]),
    ],
    ids=lambda names: " ".join(names),
)
def test_the_columns_with_sound_are_known_by_their_names(names, sounds):
    assert sound_columns(names) == sounds


def test_a_dataset_without_sound_is_refused():
    with pytest.raises(DataError, match="no column audio, bytes or path among id, speech"):
        sound_columns(["id", "speech"])


@pytest.mark.parametrize(
    ("package", "call", "extra"),
    [("ray", "wav2edge.ray.map", "ray"), ("pyarrow", "wav2edge.recognise_archive", "archives")],
)
def test_what_is_not_installed_is_named_when_it_is_needed_and_not_before(python, bundle, clip, package, call, extra):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "import wav2edge.ray\n"
        "assert not {'pyarrow', 'ray'} & {name for name, each in sys.modules.items() if each}\n"
        f"try: {call}([{str(clip)!r}], {str(bundle)!r}, 'results')\n"
        "except wav2edge.MissingDependencyError as error: print(error)\n"
    )
    out, err = python("-c", code).communicate()
    assert (out.decode(), err) == (
        f"this needs {package}, which is not installed; run: pip install 'wav2edge[{extra}]'\n",
        b"",
    )


def test_the_command_line_names_the_extra(python, bundle, clip, tmp_path):
    code = "import sys; sys.modules['ray'] = None\nfrom wav2edge.cli import main\nsys.exit(main(sys.argv[1:]))"
    words = ["run", bundle, clip, "--cluster", "ray", "--output-dir", tmp_path / "results"]
    process = python("-c", code, *words)
    _, err = process.communicate()
    assert process.returncode == 3
    assert err.decode() == "wav2edge: this needs ray, which is not installed; run: pip install 'wav2edge[ray]'\n"


def test_no_cluster_at_an_address_is_one_line(monkeypatch):
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    from wav2edge.errors import DeviceError
    from wav2edge.inference.feeding.archives.crews.ray_actors import connect

    def refuse(*_, **__):
        raise ConnectionError("ray client connection timeout")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(DeviceError, match=r"ray://there:10001: no Ray cluster answers .*RAY_AUTH_MODE"):
        connect("ray://there:10001")
