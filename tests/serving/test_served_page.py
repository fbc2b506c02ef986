"""The device page where it is installed, and otherwise what the server offers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.serving.served import serving
from wav2edge.serving.web.device_page import HEADERS, DevicePage
from wav2edge.serving.web.status_routes import OFFERS

PACKAGE = ROOT / "runtime" / "js"
needs_page = pytest.mark.skipif(not (PACKAGE / "page").is_dir(), reason="this is no checkout with the page")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The npm package as it is installed, with what it loads beside it."""
    for name in ("page", "src"):
        (tmp_path / "node_modules/wav2edge" / name).mkdir(parents=True)
    (tmp_path / "node_modules/wav2edge/page/index.html").write_text("<title>page</title>")
    (tmp_path / "node_modules/wav2edge/page/.hidden").write_text("no")
    (tmp_path / "node_modules/wav2edge/src/web.js").write_text("export const nothing = null;")
    runtime = tmp_path / "node_modules/onnxruntime-web/dist"
    runtime.mkdir(parents=True)
    (runtime / "runtime.mjs").write_text("export const nothing = null;")
    (runtime / "runtime.wasm").write_bytes(b"\0asm\1\0\0\0")
    return tmp_path / "node_modules" / "wav2edge"


@pytest.fixture
def paged(engine, bundle, package):
    with serving({"tiny": (engine, bundle)}, page=DevicePage.find(package)) as running:
        yield running


def test_without_the_page_the_server_says_what_it_offers(server):
    answer = server.client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert all(what.replace("GET /", "GET /") in answer.text for what in OFFERS)
    assert "<code>tiny</code>" in answer.text


def test_the_page_and_what_it_loads_are_served_with_the_headers_that_it_wants(paged, bundle):
    home = paged.client.get("/")
    assert (home.status_code, home.headers["location"]) == (302, "/page/")
    kinds = {
        "/page/": "text/html",
        "/src/web.js": "javascript",
        "/node_modules/onnxruntime-web/dist/runtime.mjs": "javascript",
        "/node_modules/onnxruntime-web/dist/runtime.wasm": "application/wasm",
        "/bundles/tiny/manifest.json": "application/json",
    }
    for path, kind in kinds.items():
        answer = paged.client.get(path)
        assert (answer.status_code, kind in answer.headers["content-type"]) == (200, True), path
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert paged.client.get("/page/bundles.json").json() == [{"name": "tiny", "url": "../bundles/tiny/"}]
    assert paged.client.get("/bundles/tiny/manifest.json").content == (bundle / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/page/.hidden",
        "/page/../../../package.json",
        "/page/..%2f..%2fserved.py",
        "/bundles/tiny/%2e%2e/secret",
        "/bundles/other/manifest.json",
        "/node_modules/other/file.js",
        "/page/nothing.js",
    ],
)
def test_what_is_hidden_or_outside_is_not_there(paged, path):
    answer = paged.client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_bundle_is_served_by_any_name_whether_its_files_are_links_or_not_and_nothing_else_of_its_folder(
    engine, bundle, package, tmp_path
):
    folder = tmp_path / "linked"
    for path in (each for each in bundle.rglob("*") if each.is_file()):
        link = folder / path.relative_to(bundle)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    (folder / "notes.txt").write_text("not of the bundle")
    names = ("{x}", "{x:foo}", "{x}y{x}", "a/b", "a", "\u00e4?#%")
    with serving(dict.fromkeys(names, (engine, folder)), page=DevicePage.find(package)) as running:
        listed = running.client.get("/page/bundles.json").json()
        assert [each["name"] for each in listed] == list(names)
        for each in listed:
            url = each["url"].removeprefix("..")
            answer = running.client.get(f"{url}manifest.json")
            assert answer.content == (bundle / "manifest.json").read_bytes()
            again = running.client.get(f"{url}manifest.json", headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")
            assert running.client.get(f"{url}notes.txt").status_code == 404
        assert running.client.get("/bundles/zzz/manifest.json").status_code == 404


def test_a_package_without_a_page_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no page, or no onnxruntime-web beside it"):
        DevicePage.find(tmp_path)


@needs_page
def test_the_headers_are_those_of_the_pages_own_server():
    text = (PACKAGE / "page" / "serve.mjs").read_text(encoding="utf-8")
    for name, value in HEADERS.items():
        assert f'"{name}"' in text
        if name != "Content-Security-Policy":
            assert json.dumps(value) in text
    for directive in re.findall(r"[\w-]+-(?:src|uri|action|ancestors)", HEADERS["Content-Security-Policy"]):
        assert directive in text
