"""Bundles at addresses: fetched, checked, and kept in a browser's cache under their digests."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from wav2edge.audio.clip import load_clip
from wav2edge.bundle.manifest import sealed

pytestmark = pytest.mark.slow

MODELS = Path(__file__).parents[2] / "models"
GRAPH = "onnx/model_quantized.onnx"
UNKNOWN_FIELD = b"\xfa\x3e\x01x"
"""Field 1007 of a message of Protocol Buffers, a text of one letter."""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def change_graph(bundle: Path) -> None:
    """Another graph that says the same: a field that no reader knows is added to its end."""
    graph, manifest = bundle / GRAPH, bundle / "manifest.json"
    content = graph.read_bytes() + UNKNOWN_FIELD
    graph.write_bytes(content)
    document = json.loads(manifest.read_text(encoding="utf-8"))
    document["files"][GRAPH] = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    manifest.write_text(sealed(document), encoding="utf-8")


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """The address of a folder with the shipped bundle, its next version and a damaged one, and that folder."""
    folder = tmp_path_factory.mktemp("served")
    for name in ("words", "damaged", "next"):
        shutil.copytree(MODELS / "words", folder / name)
    change_graph(folder / "next")
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
    bundles = {"good": f"{address}/words/", "next": f"{address}/next/", "bad": bad}
    return run_script("addresses.mjs", {**bundles, "clip": str(folder / "clip")})


def test_a_bundle_at_an_address_answers_as_one_in_a_folder(found, served):
    assert found["without"] == {"name": f"{served[0]}/words/{GRAPH} on cpu", "text": "fu dan"}


def test_a_bundle_at_an_address_is_refused_as_one_in_a_folder(found, served):
    address, _ = served
    damaged, page, nowhere, unreachable = (answer["error"] for answer in found["refused"])
    assert damaged["message"] == (
        f"{address}/damaged/{GRAPH}: damaged, its SHA-256 is not the manifest's; copy or export it again"
    )
    assert page["message"] == f"{address}/page/manifest.json: a web page, not a manifest; check the bundle's address"
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
    assert found["kept"] == [kept_address(served, files)]


def kept_address(served, files):
    address = quote(f"{served[0]}/words", safe="")
    return f"http://localhost/.wav2edge/{files[GRAPH]['sha256']}?{address}"


def test_the_query_of_an_address_is_that_of_each_file(found):
    assert found["versioned"]["text"] == "fu dan"
    assert found["versioned"]["fetched"] == ["/words/manifest.json?v=2", f"/words/{GRAPH}?v=2"]


def test_a_file_that_was_damaged_in_the_cache_is_fetched_anew_and_kept(found):
    assert found["healed"]["text"] == found["healed"]["next"]["text"] == "fu dan"
    assert found["healed"]["fetched"] == ["/words/manifest.json", f"/words/{GRAPH} past every cache"]
    assert found["healed"]["next"]["fetched"] == ["/words/manifest.json"]


def test_a_new_version_at_an_old_address_is_fetched_past_caches_and_the_old_one_is_forgotten(found, served):
    files = json.loads((served[1] / "next" / "manifest.json").read_text())["files"]
    assert found["updated"]["text"] == "fu dan"
    graph = f"/next/{GRAPH}"
    assert found["updated"]["fetched"] == ["/next/manifest.json", graph, f"{graph} past every cache"]
    assert found["left"] == [kept_address(served, files)]
