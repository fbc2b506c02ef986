"""OpenAI's clients for Python and JavaScript call the server as they call OpenAI."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

from tests.npm_packages import npm_install
from tests.serving.conftest import MODELS
from tests.serving.served import serving, until
from wav2edge.serving.serving_options import digest_of

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / "build" / "openai-js"
CLIPS = [MODELS / "clips" / f"{name}.flac" for name in ("fu-dan-3", "bei-jing-0")]
KEY = "sk-0123456789abcdef"
LIMIT_S = 300


@pytest.fixture(scope="module")
def openai():
    return pytest.importorskip("openai", reason="the package openai is in the group dev")


@pytest.fixture(scope="module")
def client(openai, shipped_server):
    with openai.OpenAI(base_url=f"{shipped_server.url}/v1", api_key="none", max_retries=0) as found:
        yield found


def test_the_python_client_gets_the_answers_of_the_engine(client, shipped):
    engine = shipped["words"][0]
    for clip in CLIPS:
        result = engine(clip)
        with clip.open("rb") as file:
            plain = client.audio.transcriptions.create(file=file, model="words")
        assert plain.text == result.text
        verbose = client.audio.transcriptions.create(
            file=clip,
            model="words",
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
            language="zh",
            prompt="Fudan",
            temperature=0.0,
        )
        assert type(verbose).model_validate(verbose.to_dict()) == verbose  # every field that its type asks for
        assert (verbose.text, verbose.language) == (result.text, "zh")
        assert [word.word for word in verbose.words] == [word.text for word in result.words]
        assert [segment.text for segment in verbose.segments] == [result.text]
        assert (
            client.audio.transcriptions.create(file=clip, model="words", response_format="text") == f"{result.text}\n"
        )
        cue = client.audio.transcriptions.create(file=clip, model="words", response_format="vtt")
        assert cue.startswith("WEBVTT\n\n00:00:00.000 --> ")


def test_the_python_client_lists_the_models(client):
    assert [model.id for model in client.models.list()] == ["words", "live"]
    assert client.models.retrieve("live").owned_by == "wav2edge"


def test_the_python_client_raises_its_own_errors(openai, client, shipped_server, engine, bundle):
    def transcribe(asked=client, file=CLIPS[0], **options):
        return asked.audio.transcriptions.create(file=file, **{"model": "words", **options})

    with pytest.raises(openai.NotFoundError, match="no model 'whisper-1'"):
        transcribe(model="whisper-1")
    with pytest.raises(openai.BadRequestError, match="WebSocket") as refused:
        list(transcribe(stream=True))
    assert (refused.value.code, refused.value.param) == ("bad_request", "stream")
    with pytest.raises(openai.UnprocessableEntityError, match="damaged") as refused:
        transcribe(file=("a.wav", b"RIFF\x10\0\0\0WAVEnothing"))
    until(lambda: refused.value.request_id in [each.get("request_id") for each in shipped_server.log])
    with serving({"tiny": (engine, bundle)}, key_digests=(digest_of(KEY),)) as running:
        asked = openai.OpenAI(base_url=f"{running.url}/v1", api_key="wrong", max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            asked.models.list()
        assert openai.OpenAI(base_url=f"{running.url}/v1", api_key=KEY).models.list().data[0].id == "tiny"


def test_the_python_client_asks_again_where_the_queue_was_full(openai, held, bundle, clip):
    from concurrent.futures import ThreadPoolExecutor

    with serving({"tiny": (held, bundle)}, decoders=1, queue=0) as running, ThreadPoolExecutor(2) as senders:
        asked = openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=5)

        def transcribe():
            return asked.audio.transcriptions.create(file=clip, model="tiny")

        both = [senders.submit(transcribe) for _ in range(2)]
        until(lambda: running.metric('wav2edge_refusals_total{reason="queue_full"}') >= 1)
        held.let_go.set()
        first, second = (each.result() for each in both)
        assert first.text == second.text


@pytest.fixture(scope="module")
def js_client() -> Path:
    """A folder with the package ``openai`` and the script that calls it."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("Node or npm is absent; OpenAI's client for JavaScript needs both")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with FileLock(INSTALLED / "lock"):
        wanted, found = HERE / "package.json", INSTALLED / "package.json"
        if (
            not found.is_file()
            or found.read_bytes() != wanted.read_bytes()
            or not (INSTALLED / "node_modules").is_dir()
        ):
            shutil.copyfile(wanted, found)
            npm_install(INSTALLED, "OpenAI's client")
        shutil.copyfile(HERE / "openai_client.mjs", INSTALLED / "openai_client.mjs")
    return INSTALLED


@pytest.mark.slow
def test_the_javascript_client_gets_the_answers_of_the_engine(js_client, shipped_server, shipped):
    command = ["node", str(js_client / "openai_client.mjs"), shipped_server.url, "words", *map(str, CLIPS)]
    done = subprocess.run(command, cwd=js_client, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["models"] == ["words", "live"]
    for clip, answer in zip(CLIPS, found["answers"], strict=True):
        result = shipped["words"][0](clip)
        assert answer["json"]["text"] == answer["verbose"]["text"] == result.text
        assert [word["word"] for word in answer["verbose"]["words"]] == [word.text for word in result.words]
        assert re.match(r"1\n00:00:00,000 --> [\d:,]+\n", answer["srt"])
    assert (found["error"]["status"], found["error"]["code"]) == (415, "unsupported_media")
    assert "notes.wav: text, not audio" in found["error"]["message"]
    until(lambda: found["error"]["request"] in [each.get("request_id") for each in shipped_server.log])
