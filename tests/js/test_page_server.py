"""The page's server: what it serves, with which headers, and what it refuses."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.js.page_server import SERVER, Page, fake_modules, needs_node, served

BUNDLE = Path(__file__).parents[2] / "models" / "words"

pytestmark = needs_node


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with served({"words": BUNDLE}, fake_modules(tmp_path_factory.mktemp("modules"))) as page:
        yield page


def asked(page: Page, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    """The answer to a path exactly as it is written: a client that tidies it would hide what is tested."""
    connection = http.client.HTTPConnection(page.host, page.port, timeout=10)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    return response, response.read()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/page/", "text/html"),
        ("/page/page.js", "text/javascript"),
        ("/page/style.css", "text/css"),
        ("/page/icon.svg", "image/svg+xml"),
        ("/node_modules/onnxruntime-web/dist/runtime.wasm", "application/wasm"),
        ("/node_modules/onnxruntime-web/dist/runtime.mjs", "text/javascript"),
        ("/bundles/words/manifest.json", "application/json"),
        ("/bundles/words/onnx/model_quantized.onnx", "application/octet-stream"),
    ],
)
def test_every_kind_of_file_has_its_type_and_is_whole(page: Page, path: str, kind: str) -> None:
    response, body = asked(page, path)
    assert response.status == 200
    assert response.headers.get_content_type() == kind
    assert len(body) == int(response.headers["Content-Length"])


def test_a_model_comes_byte_for_byte(page: Page) -> None:
    _, body = asked(page, "/bundles/words/onnx/model_quantized.onnx")
    assert body == (BUNDLE / "onnx" / "model_quantized.onnx").read_bytes()


def test_the_address_leads_to_the_page_and_keeps_its_parameters(page: Page) -> None:
    response, _ = asked(page, "/?bundle=words")
    assert (response.status, response.headers["Location"]) == (302, "/page/?bundle=words")


def test_the_bundles_are_listed_in_order(page: Page) -> None:
    _, body = asked(page, "/page/bundles.json")
    assert json.loads(body) == [{"name": "words", "url": "../bundles/words/"}]


@pytest.mark.parametrize("path", ["/page/", "/page/bundles.json", "/nothing", "/bundles/words/manifest.json"])
def test_every_answer_isolates_the_page_and_allows_no_foreign_script(page: Page, path: str) -> None:
    headers = asked(page, path)[0].headers
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    rules = headers["Content-Security-Policy"].split("; ")
    assert rules[:3] == ["default-src 'self'", "script-src 'self' 'wasm-unsafe-eval'", "worker-src 'self'"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/../package.json",
        "/page/../serve.mjs/../../package.json",
        "/page/%2e%2e/%2e%2e/messages.json",
        "/page/..%2f..%2fmessages.json",
        "/page/..\\..\\messages.json",
        "/page/%5c..%5c..%5cmessages.json",
        "/bundles/words/../../LICENSE.speech",
        "/bundles/words/..%2fwords-stream/manifest.json",
        "/bundles/words//etc/passwd",
        "/bundles/words/%2fetc%2fpasswd",
        "/bundles/words/.hidden",
        "/bundles/words/manifest.json%00.txt",
        "/bundles/words/%zz",
        "/bundles/words/onnx",
        "/bundles/other/manifest.json",
        "/etc/passwd",
        "//etc/passwd",
        "/node_modules/other/index.js",
    ],
)
def test_nothing_outside_the_folders_is_served(page: Page, path: str) -> None:
    response, body = asked(page, path)
    assert response.status == 404
    assert body == b"no such file\n"


def test_a_file_that_the_browser_has_is_not_sent_again(page: Page) -> None:
    first, _ = asked(page, "/page/page.js")
    assert first.headers["Cache-Control"] == "no-cache"
    again, body = asked(page, "/page/page.js", If_None_Match=first.headers["ETag"])
    assert (again.status, body) == (304, b"")


def test_head_tells_the_size_and_other_methods_are_refused(page: Page) -> None:
    response, body = asked(page, "/page/page.js", "HEAD")
    assert (response.status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) > 0
    assert asked(page, "/page/page.js", "POST")[0].status == 405
    assert asked(page, "/page/page.js", "DELETE")[0].status == 405


def test_without_isolation_the_other_rules_stay(tmp_path: Path) -> None:
    with served({"words": BUNDLE}, fake_modules(tmp_path), "--no-isolation") as page:
        headers = asked(page, "/page/")[0].headers
    assert not [name for name in headers if name.startswith("Cross-Origin")]
    assert headers["Content-Security-Policy"].startswith("default-src 'self'; ")


def test_it_listens_on_this_computer_alone(page: Page) -> None:
    assert page.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--bundle", "words"], "--bundle words: give NAME=FOLDER"),
        (["--bundle", "../up=."], "--bundle ../up=.: give NAME=FOLDER"),
        (["--bundle", "empty=nowhere"], "nowhere: not a bundle, there is no such folder; check the path"),
        (["--modules", "nowhere"], "nowhere: has no onnxruntime-web; run: npm install onnxruntime-web"),
        (["--colour", "red"], "--colour"),
        (["--port", "seven"], "serve.mjs: "),
    ],
)
def test_wrong_usage_is_said_in_a_line(tmp_path: Path, words: list[str], told: str) -> None:
    modules = [] if "--modules" in words else ["--modules", str(fake_modules(tmp_path))]
    done = subprocess.run(["node", SERVER, *words, *modules], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert told in done.stderr
    assert "    at " not in done.stderr
