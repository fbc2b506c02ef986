"""Bundles by their name on the Hub, from a server on the loopback address."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import wav2edge
from tests.runtime.hub_server import Hub, HubClient
from wav2edge.bundle.manifest import sealed
from wav2edge.errors import BundleError, MissingDependencyError, UsageError

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed (huggingface_hub)")


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub-cache")


@pytest.fixture(scope="module")
def online(hub: Hub, cache: Path) -> Iterator[HubClient]:
    client = HubClient(hub, cache)
    yield client
    client.close()


@pytest.fixture(scope="module")
def offline(hub: Hub, cache: Path) -> Iterator[HubClient]:
    client = HubClient(hub, cache, HF_HUB_OFFLINE="1")
    yield client
    client.close()


@pytest.fixture(autouse=True)
def healthy(hub: Hub) -> None:
    hub.requests.clear()
    hub.truncated.clear()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of each test's own, so that nothing of it is in the cache."""
    return f"owner/{request.node.name[:60].replace('[', '-').replace(']', '').replace('--', '-')}"


@pytest.fixture
def published(hub: Hub, name: str, bundle: Path) -> str:
    """The commit of the tiny bundle under the name."""
    return hub.add(name, bundle)


def run(client: HubClient, *words: object) -> Any:
    return SimpleNamespace(**client.ask(words=[str(word) for word in words]))


def evaluate(client: HubClient, code: str) -> Any:
    return SimpleNamespace(**client.ask(python=code))


def cached(cache: Path, name: str, commit: str) -> Path:
    return cache / "hub" / f"models--{name.replace('/', '--')}" / "snapshots" / commit


def test_run_recognises_with_a_bundle_by_its_name_and_fetches_only_what_it_needs(
    hub, online, published, name, bundle, clip, cli
):
    here = cli("run", bundle, clip)
    there = run(online, "run", name, clip)
    assert (there.code, there.out, there.err) == (0, here.out, "")
    assert hub.downloads(name) == ["manifest.json", "onnx/model.onnx"]


def test_load_takes_a_name_a_variant_and_a_revision(hub, online, published, name):
    found = evaluate(
        online,
        f"import wav2edge\nengine = wav2edge.load({name!r}, variant='int8', revision={published!r})\n"
        "answer = [engine.precision, engine.device]",
    )
    assert found.answer == ["int8", "cpu"]
    assert hub.downloads(name) == ["manifest.json", "onnx/model_quantized.onnx"]


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "NAME"),
        ("verify", "NAME"),
        ("run", "NAME", "CLIP"),
        ("align", "NAME", "CLIP", "abc"),
        ("stream", "NAME", "CLIP", "--kind", "windowed"),
        ("evaluate", "NAME", "DATA", "--json"),
        pytest.param(("bench", "NAME", "--runs", "1"), marks=pytest.mark.slow),
    ],
    ids=lambda words: words[0],
)
def test_every_verb_that_takes_a_bundle_takes_a_name(online, published, name, words, clip, bundle, cli, tmp_path):
    (tmp_path / "data").mkdir()
    shutil.copyfile(clip, tmp_path / "data/clip.wav")
    (tmp_path / "data/metadata.csv").write_text("file_name,transcription,split\nclip.wav,a b,test\n")
    places = {"CLIP": clip, "DATA": tmp_path / "data"}
    there = run(
        online, *(places.get(word, name if word == "NAME" else word) for word in words), "--revision", published
    )
    assert there.code == 0, there.err
    if words[0] in ("inspect", "align", "run"):
        here = cli(*(places.get(word, bundle if word == "NAME" else word) for word in words))
        assert there.out == here.out


def test_a_bundle_of_an_earlier_commit_stays_loadable_by_its_revision(hub, online, published, name, bundle, own_bundle):
    manifest = json.loads((own_bundle / "manifest.json").read_text())
    (own_bundle / "manifest.json").write_text(sealed({**manifest, "name": "newer"}))
    hub.add(name, own_bundle)
    assert "newer" in run(online, "inspect", name).out
    assert "newer" not in run(online, "inspect", name, "--revision", published).out


def test_once_fetched_at_a_commit_nothing_is_asked_of_the_hub_again(hub, online, published, name, clip):
    first = run(online, "run", name, clip, "--revision", published)
    hub.requests.clear()
    assert run(online, "run", name, clip, "--revision", published).out == first.out
    assert hub.requests == []


def test_files_stay_those_of_one_commit_when_the_branch_moves(hub, online, published, name, bundle, own_bundle):
    evaluate(
        online, f"import builtins\nfrom wav2edge.bundle.folder import Bundle\nbuiltins.opened = Bundle.open({name!r})"
    )
    (own_bundle / "config.json").write_text("{}")
    hub.add(name, own_bundle)
    found = evaluate(online, "answer = opened.checked('config.json').read_text()")
    assert found.answer == (bundle / "config.json").read_text()


def test_offline_a_cached_bundle_answers_and_another_is_one_line(online, offline, hub, published, name, clip):
    first = run(online, "run", name, clip)
    hub.requests.clear()
    assert run(offline, "run", name, clip).out == first.out
    other = run(offline, "run", "owner/never-seen", clip)
    assert (other.code, other.err.count("\n")) == (3, 1)
    assert "owner/never-seen: manifest.json is not in the cache, and HF_HUB_OFFLINE is set" in other.err
    variant = run(offline, "run", name, clip, "--variant", "int8")
    assert (variant.code, variant.err.count("\n")) == (3, 1)
    assert "onnx/model_quantized.onnx is not in the cache" in variant.err
    assert hub.requests == []


def test_without_a_connection_the_cache_serves_and_otherwise_it_is_one_line(hub, cache, online, published, name, clip):
    first = run(online, "run", name, clip)
    unplugged = HubClient(hub, cache, HF_ENDPOINT="http://127.0.0.1:9")
    evaluate(unplugged, "import time\ntime.sleep = lambda duration_s: None")  # the library tries for half a minute
    second = run(unplugged, "run", name, clip)
    assert (second.out, second.err) == (first.out, "")
    other = run(unplugged, "run", "owner/never-seen", clip)
    unplugged.close()
    assert (other.code, other.err.count("\n")) == (3, 1)
    assert "manifest.json is not in the cache, and the Hub cannot be reached" in other.err


@pytest.mark.parametrize(
    ("wanted", "revision", "reason"),
    [
        ("owner/nobody-has-this", "main", "neither a folder here nor a repository on the Hub that you can read"),
        ("NAME", "no-such-branch", "has no revision 'no-such-branch' on the Hub"),
        ("owner/name.git", "main", "cannot be fetched from the Hub"),
    ],
)
def test_what_is_not_there_is_one_line_that_says_so(online, published, name, clip, wanted, revision, reason):
    outcome = run(online, "run", wanted.replace("NAME", name), clip, "--revision", revision)
    assert (outcome.code, outcome.err.count("\n")) == (3, 1)
    assert reason in outcome.err


def test_a_repository_that_is_no_bundle_is_refused_with_the_line_that_makes_one(online, hub, name, clip, tmp_path):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint/config.json").write_text("{}")
    hub.add(name, tmp_path / "checkpoint")
    outcome = run(online, "run", name, clip)
    assert outcome.err == (
        f"wav2edge: {name}: not a bundle, it has no manifest.json; make one of it: wav2edge export {name}"
        " --output BUNDLE\n"
    )


def test_a_private_bundle_is_read_with_the_token_of_the_environment(online, hub, cache, name, bundle, clip):
    hub.add(name, bundle, private=True)
    assert run(online, "run", name, clip).code == 0


def test_a_download_that_breaks_off_is_not_loaded_and_the_next_one_completes_it(
    hub, online, published, name, clip, cache
):
    hub.truncated["onnx/model.onnx"] = 1000
    broken = run(online, "run", name, clip)
    if broken.code:  # newer versions of the library try again by themselves
        assert (broken.code, broken.err.count("\n")) == (3, 1)
        assert "onnx/model.onnx cannot be fetched" in broken.err
        assert not (cached(cache, name, published) / "onnx/model.onnx").exists()
    assert run(online, "run", name, clip).code == 0


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-1], lambda content: content[:-1] + b"\0"], ids=["cut", "changed"]
)
def test_a_damaged_file_in_the_cache_is_refused_and_the_next_run_fetches_it_again(
    hub, online, published, name, clip, cache, damage
):
    first = run(online, "run", name, clip)
    path = cached(cache, name, published) / "onnx/model.onnx"
    path.resolve().write_bytes(damage(path.read_bytes()))
    refused = run(online, "run", name, clip)
    assert (refused.code, refused.out, refused.err.count("\n")) == (3, "", 1)
    assert "onnx/model.onnx" in refused.err
    assert "taken out of the cache, so load it again" in refused.err
    assert run(online, "run", name, clip).out == first.out


@pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda content: content.replace(b"tiny", b"tony")])
def test_a_damaged_manifest_in_the_cache_is_refused_and_the_next_run_fetches_it_again(
    online, published, name, clip, cache, damage
):
    first = run(online, "run", name, clip)
    path = cached(cache, name, published) / "manifest.json"
    path.resolve().write_bytes(damage(path.read_bytes()))
    refused = run(online, "run", name, clip)
    assert (refused.code, refused.out, refused.err.count("\n")) == (3, "", 1)
    assert "manifest.json: damaged or altered" in refused.err
    assert "taken out of the cache, so load it again" in refused.err
    assert run(online, "run", name, clip).out == first.out


def test_an_altered_manifest_on_the_hub_is_refused(hub, online, name, own_bundle, clip):
    path = own_bundle / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"blank_id": 0', b'"blank_id": 1'))
    hub.add(name, own_bundle)
    for _ in range(2):
        refused = run(online, "run", name, clip)
        assert (refused.code, refused.out, refused.err.count("\n")) == (3, "", 1)
        assert "its owner must upload the bundle again" in refused.err


def test_a_repository_whose_files_are_not_those_of_its_manifest_is_refused(hub, online, name, own_bundle, clip):
    graph = own_bundle / "onnx/model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    hub.add(name, own_bundle)
    for _ in range(2):
        refused = run(online, "run", name, clip)
        assert (refused.code, refused.err.count("\n")) == (3, 1)
        assert "its owner must upload the bundle again" in refused.err


def test_verify_of_a_bundle_on_the_hub_checks_every_file_that_the_manifest_lists(hub, online, published, name, bundle):
    outcome = run(online, "verify", name, "--json")
    assert outcome.code == 0, outcome.err
    listed = json.loads((bundle / "manifest.json").read_text())["files"]
    assert {check["name"] for check in json.loads(outcome.out)["checks"]} >= set(listed)
    assert sorted(hub.downloads(name)) == sorted([*listed, "manifest.json"])


def test_without_huggingface_hub_a_name_is_one_line_with_the_command_that_installs_it(cli, clip, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    outcome = cli("run", "owner/name", clip)
    assert outcome.code == 3
    assert outcome.complaint == (
        "wav2edge: owner/name: no such folder, and a name on the Hub needs huggingface_hub, which is not installed;"
        " run: pip install 'wav2edge[hub]'"
    )
    with pytest.raises(MissingDependencyError, match="pip install"):
        wav2edge.load("owner/name")


def test_a_folder_is_a_folder_even_if_it_could_be_a_name(bundle, tmp_path, monkeypatch):
    shutil.copytree(bundle, tmp_path / "owner/name")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert wav2edge.load("owner/name", threads=1).precision == "fp32"
    with pytest.raises(UsageError, match="a folder, which has no revisions"):
        wav2edge.load("owner/name", revision="main")


@pytest.mark.parametrize(
    "path", [Path("owner/name"), "./owner/name", "/owner/name", "name", "owner/name/deep", "../name"]
)
def test_what_cannot_be_a_name_is_a_path_and_never_reaches_the_hub(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BundleError, match="not a bundle"):
        wav2edge.load(path)


def test_the_client_of_the_hub_is_imported_only_for_a_name(python, bundle, clip):
    code = (
        f"import sys\nfrom wav2edge.cli import main\nmain(['run', {str(bundle)!r}, {str(clip)!r}])\nprint(*sys.modules)"
    )
    out, _ = python("-c", code).communicate()
    assert [name for name in out.decode().splitlines()[-1].split() if "hub" in name] == []
