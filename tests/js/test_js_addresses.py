"""Bundles at addresses: fetched, checked, and kept in a browser's cache under their digests."""

from __future__ import annotations

import functools
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wav2edge.audio.clip import load_clip

pytestmark = pytest.mark.slow

MODELS = Path(__file__).parents[2] / "models"
GRAPH = "onnx/model_quantized.onnx"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """The address of a folder with the shipped bundle and one whose graph is damaged, and that folder."""
    folder = tmp_path_factory.mktemp("served")
    for name in ("words", "damaged"):
        shutil.copytree(MODELS / "words", folder / name)
    graph = folder / "damaged" / GRAPH
    graph.write_bytes(bytes(reversed(graph.read_bytes())))
    (folder / "page").mkdir()
    (folder / "page" / "manifest.json").write_text("<html>no such page</html>")
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", folder
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def found(served, run_script):
    address, folder = served
    load_clip(MODELS / "clips" / "fu-dan-3.flac").samples.tofile(folder / "clip")
    bad = [f"{address}/{name}" for name in ("damaged", "page", "nowhere")] + ["http://127.0.0.1:9/words"]
    return run_script("addresses.mjs", {"good": f"{address}/words/", "bad": bad, "clip": str(folder / "clip")})


def test_a_bundle_at_an_address_answers_as_one_in_a_folder(found, served):
    assert found["without"] == {"name": f"{served[0]}/words/{GRAPH} on cpu", "text": "fu dan"}


def test_a_bundle_at_an_address_is_refused_as_one_in_a_folder(found, served):
    address, _ = served
    damaged, page, nowhere, unreachable = (answer["error"] for answer in found["refused"])
    assert damaged["message"] == (
        f"{address}/damaged/{GRAPH}: damaged, its SHA-256 is not the manifest's; copy or export it again"
    )
    assert page["message"].startswith(f"{address}/page/manifest.json: not JSON (")
    assert nowhere["message"] == f"{address}/nowhere: not a bundle, there is no manifest.json at this address; check it"
    assert unreachable["message"].startswith("http://127.0.0.1:9/words/manifest.json: cannot be fetched (")
    assert {each["name"] for each in (damaged, page, nowhere, unreachable)} == {"BundleError"}


def test_files_are_kept_under_their_digests_and_fetched_once(found, served):
    _, folder = served
    files = json.loads((folder / "words" / "manifest.json").read_text())["files"]
    first, second = found["visits"]
    assert first["text"] == second["text"] == "fu dan"
    assert first["fetched"] == ["/words/manifest.json", f"/words/{GRAPH}"]
    assert second["fetched"] == ["/words/manifest.json"]
    assert found["kept"] == [f"http://localhost/.wav2edge/{files[GRAPH]['sha256']}"]
