"""Uploads to a Hub on the loopback address: what is sent, what is replaced, what is refused, and the way back."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest

from tests.runtime import tiny_bundle
from tests.runtime.hub_server import Hub, HubClient
from wav2edge.errors import UsageError
from wav2edge_export.bundle.hub_upload import HubTarget, check_target

PUSH = """
from wav2edge.bundle.folder import Bundle
from wav2edge_export.bundle.hub_upload import HubTarget, check_target, push
target = HubTarget({})
check_target(target)
answer = push(Bundle.open({!r}), target)
"""


@pytest.fixture(scope="module")
def hub():
    with Hub() as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def client(hub, tmp_path_factory):
    started = HubClient(hub, tmp_path_factory.mktemp("cache"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle.write_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def push(client, folder, **target):
    arguments = ", ".join(f"{name}={value!r}" for name, value in target.items())
    return SimpleNamespace(**client.ask(python=PUSH.format(arguments, str(folder))))


def listed(folder):
    return sorted([*json.loads((folder / "manifest.json").read_text())["files"], "manifest.json"])


def test_a_bundle_is_uploaded_whole_in_one_commit_to_a_private_repository_and_comes_back(hub, client, bundle):
    done = push(client, bundle, name="owner/whole")
    assert (done.code, done.err) == (0, "")
    repository = hub.repositories["owner/whole"]
    assert (repository.private, repository.branches["main"], len(repository.commits)) == (True, done.answer, 2)
    files = repository.commits[done.answer]
    assert sorted(files) == sorted([".gitattributes", *listed(bundle)])
    assert files["onnx/model.onnx"] == (bundle / "onnx/model.onnx").read_bytes()
    back = SimpleNamespace(**client.ask(words=["verify", "owner/whole", "--revision", done.answer]))
    assert back.code == 0, back.err


def test_files_of_an_earlier_bundle_go_and_files_of_others_stay(hub, client, bundle, tmp_path):
    push(client, bundle, name="owner/again")
    repository = hub.repositories["owner/again"]
    repository.commit({**repository.commits[repository.branches["main"]], "notes.txt": b"by hand"})
    smaller = tiny_bundle.write_bundle(tmp_path / "smaller", {"fp32": tiny_bundle.graph()})
    done = push(client, smaller, name="owner/again")
    assert sorted(repository.commits[done.answer]) == sorted([".gitattributes", "notes.txt", *listed(smaller)])


def test_a_branch_is_made_for_a_revision_and_a_public_repository_only_where_it_is_asked_for(hub, client, bundle):
    done = push(client, bundle, name="owner/branched", revision="int8-only", public=True)
    repository = hub.repositories["owner/branched"]
    assert (repository.private, repository.branches["int8-only"]) == (False, done.answer)
    assert list(repository.commits[repository.branches["main"]]) == [".gitattributes"]


def test_a_repository_that_holds_a_checkpoint_is_left_alone(hub, client, bundle, tmp_path):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint/model.safetensors").write_bytes(b"weights")
    commit = hub.add("owner/checkpoint", tmp_path / "checkpoint")
    done = push(client, bundle, name="owner/checkpoint")
    assert done.code == 2
    assert "owner/checkpoint: holds something other than a bundle, such as model.safetensors" in done.err
    assert hub.repositories["owner/checkpoint"].branches["main"] == commit


def test_a_refused_upload_says_where_the_bundle_is(hub, client, bundle):
    commit = hub.add("owner/closed", bundle)
    hub.refuses_commits = True
    done = push(client, bundle, name="owner/closed")
    hub.refuses_commits = False
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert "owner/closed: not uploaded (403" in done.err
    assert f"the bundle is complete in {bundle}, try: hf upload owner/closed {bundle}" in done.err
    assert hub.repositories["owner/closed"].branches["main"] == commit


def test_offline_and_without_a_login_nothing_is_begun(monkeypatch):
    for offline, token, reason in (
        (True, "hf_x", "HF_HUB_OFFLINE is set, and an upload needs the Hub"),
        (False, None, "an upload needs a login; run: hf auth login"),
    ):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
        monkeypatch.setattr("wav2edge_export.bundle.hub_upload.get_token", lambda token=token: token)
        with pytest.raises(UsageError, match=reason):
            check_target(HubTarget(name="owner/never"))


@pytest.mark.parametrize("name", ["name", "/owner/name", "owner/name/more", "../name"])
def test_what_is_no_name_of_a_repository_is_refused(name):
    with pytest.raises(UsageError, match="is no repository on the Hub; give owner/name"):
        HubTarget(name=name)


@pytest.mark.slow
def test_export_uploads_what_it_wrote_and_says_how_to_run_it(hub, client, checkpoints, tmp_path):
    words = ["export", str(checkpoints("ctc")), "--output", str(tmp_path / "bundle"), "--precision", "fp32"]
    done = SimpleNamespace(**client.ask(words=[*words, "--push-to-hub", "owner/exported"]))
    assert done.code == 0, done.err
    commit = hub.repositories["owner/exported"].branches["main"]
    assert done.err.splitlines()[-1] == f"wav2edge: uploaded: wav2edge run owner/exported --revision {commit} clip.wav"
    card = hub.repositories["owner/exported"].commits[commit]["README.md"].decode()
    assert card == (tmp_path / "bundle/README.md").read_text()
    shutil.rmtree(tmp_path / "bundle")
    alone = SimpleNamespace(**client.ask(words=["export", "nowhere", "--output", str(tmp_path / "b"), "--public"]))
    assert alone.code == 2
    assert "--revision and --public are for uploads" in alone.err
