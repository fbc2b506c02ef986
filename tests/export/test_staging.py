"""A folder is replaced in one step, or not at all."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from wav2edge.bundle.manifest import MANIFEST
from wav2edge.errors import UsageError
from wav2edge_export.bundle import writing
from wav2edge_export.bundle.writing import staged_folder

pytestmark = pytest.mark.slow  # processes that import what writes bundles

SLOW_WRITER = """
import sys, time
from pathlib import Path
from wav2edge_export.bundle.writing import staged_folder
with staged_folder(Path(sys.argv[1])) as stage:
    print("writing", flush=True)
    for part in range(200):
        (stage / f"part{part}").write_text("new")
        time.sleep(0.002)
    (stage / "manifest.json").write_text("new")
"""


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / MANIFEST).write_text("old")
    return folder


def write(target, text="new"):
    with staged_folder(target) as stage:
        (stage / "onnx").mkdir()
        (stage / "onnx" / "model.onnx").write_text(text)
        (stage / MANIFEST).write_text(text)


def siblings(target):
    return [path.name for path in target.parent.iterdir() if path != target]


def test_a_new_folder_appears_whole(tmp_path):
    target = tmp_path / "deep" / "bundle"
    write(target)
    assert (target / "onnx" / "model.onnx").read_text() == "new"
    assert siblings(target) == []


def test_an_old_bundle_is_replaced_with_nothing_of_it_left(bundle):
    (bundle / "leftover").write_text("old")
    write(bundle)
    assert sorted(path.name for path in bundle.iterdir()) == [MANIFEST, "onnx"]
    assert siblings(bundle) == []


def test_a_system_without_the_exchange_call_replaces_the_bundle_too(bundle, monkeypatch):
    monkeypatch.setattr(writing, "_exchange", lambda one, other: False)
    write(bundle)
    assert (bundle / MANIFEST).read_text() == "new"
    assert siblings(bundle) == []


def test_an_error_while_writing_leaves_the_old_bundle_and_no_rubbish(bundle):
    def fail_half_way():
        with staged_folder(bundle) as stage:
            (stage / MANIFEST).write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk"):
        fail_half_way()
    assert (bundle / MANIFEST).read_text() == "old"
    assert siblings(bundle) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of POSIX")
def test_a_disk_that_is_full_leaves_the_old_bundle_and_no_rubbish(bundle):
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, most))  # the same path through the code as a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            write(bundle, "x" * 5_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert (bundle / MANIFEST).read_text() == "old"
    assert siblings(bundle) == []


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.2])
def test_a_writer_killed_half_way_leaves_the_old_bundle_and_the_next_one_cleans_up(bundle, delay_s):
    writer = subprocess.Popen([sys.executable, "-c", SLOW_WRITER, str(bundle)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(delay_s)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert (bundle / MANIFEST).read_text() == "old"
    assert len(siblings(bundle)) == 1
    write(bundle)
    assert siblings(bundle) == []


def test_the_folder_of_a_writer_that_still_runs_is_left_alone(bundle):
    running = bundle.with_name(f".{bundle.name}.tmp-{os.getppid()}-abc")
    running.mkdir()
    write(bundle)
    assert running.exists()


@pytest.mark.parametrize("there", [False, True], ids=["a new folder", "an old bundle"])
def test_of_two_writers_at_once_one_leaves_its_whole_bundle(tmp_path, there):
    target, together = tmp_path / "bundle", threading.Barrier(2)
    if there:
        write(target, "old")

    def write_with_the_other(text):
        with staged_folder(target) as stage:
            for name in ("one", "two", MANIFEST):
                (stage / name).write_text(text)
            together.wait(30)

    with ThreadPoolExecutor(2) as writers:
        list(writers.map(write_with_the_other, ("first", "second")))
    texts = {path.name: path.read_text() for path in target.iterdir()}
    assert sorted(texts) == sorted(["one", "two", MANIFEST])
    assert set(texts.values()) in ({"first"}, {"second"})
    assert siblings(target) == []


def test_a_target_that_appears_meanwhile_is_replaced_and_not_an_error(tmp_path):
    target = tmp_path / "bundle"
    with staged_folder(target) as stage:
        (stage / MANIFEST).write_text("second")
        write(target, "first")
    assert sorted(path.name for path in target.iterdir()) == [MANIFEST]
    assert (target / MANIFEST).read_text() == "second"


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path):
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "chapter1.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not a bundle"):
        write(target)
    assert (target / "chapter1.txt").read_text() == "years of work"


def test_an_empty_folder_may_become_a_bundle(tmp_path):
    target = tmp_path / "bundle"
    target.mkdir()
    write(target)
    assert (target / MANIFEST).exists()
