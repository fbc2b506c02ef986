"""`wav2edge stream`: files, pipes and microphones, their faults, and what is written."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import sys
import time
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from tests.runtime import tiny_bundle
from wav2edge import Endpointing, Final
from wav2edge.cli.live import live_sources, microphone
from wav2edge.cli.live.live_output import JsonLines, Lines, Screen, output_for
from wav2edge.cli.live.piped_sound import PcmFormat, PipedSound
from wav2edge.errors import AudioError

EVERYTHING = ("--vad", "none", "--chunk", "500")
"""All sound is speech: what tells them apart has tests of its own."""
LIMIT_S = 30
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="no POSIX signals")


@pytest.fixture
def stdin(monkeypatch):
    """Put bytes into standard input."""

    def put(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content), isatty=bool))

    return put


@pytest.fixture
def expected(engine):
    """What a stream says at the end of samples."""

    def final(samples: np.ndarray, rate_hz: int = 16_000) -> Final:
        stream = engine.stream(rate_hz=rate_hz, chunk_ms=500, endpointing=Endpointing(vad="none"))
        *_, last = stream.feed(samples) + stream.finish()
        return last

    return final


def pcm16(samples: np.ndarray) -> np.ndarray:
    return np.round(samples * 32767).astype("<i2")


# Files


def test_a_file_is_one_line_of_words_and_label_for_each_final_answer(cli, bundle, clip, second, expected):
    outcome = cli("stream", bundle, clip, *EVERYTHING)
    final = expected(pcm16(second))
    assert (outcome.code, outcome.out) == (0, f"{final.text}\t{final.label}\n")
    assert outcome.complaint.startswith("wav2edge: 1.0 s of sound, real-time factor ")


def test_json_has_a_line_for_each_answer_and_finals_only_the_last_word(cli, bundle, clip, expected):
    events = cli("stream", bundle, clip, *EVERYTHING, "--json").jsonl
    assert [event["type"] for event in events] == ["partial"] * (len(events) - 1) + ["final"]
    assert len(events) > 1
    (only,) = cli("stream", bundle, clip, *EVERYTHING, "--json", "--finals").jsonl
    wanted = {**expected(soundfile.read(clip)[0]).to_dict(), "latency_s": only["latency_s"]}
    assert only == wanted


def test_a_file_of_any_rate_and_channels_is_heard(cli, bundle, save):
    path = save("wide.flac", np.stack([tiny_bundle.noise(48_000)] * 2, axis=1), rate_hz=48_000)
    outcome = cli("stream", bundle, path, *EVERYTHING)
    assert outcome.code == 0
    assert outcome.complaint.startswith("wav2edge: 1.0 s of sound")


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_a_file_that_is_cut_off_is_answered_with_a_warning(cli, bundle, save, second, kind):
    clip = save("clip", second, format=kind)
    clip.write_bytes(clip.read_bytes()[:20_044])
    outcome = cli("stream", bundle, clip, *EVERYTHING)
    assert (outcome.code, len(outcome.out.splitlines())) == (0, 1)
    assert outcome.complaints[0] == f"wav2edge: {clip}: truncated, it ends before its sound does"


def test_pace_gives_each_block_when_it_would_have_been_recorded(cli, bundle, clip, monkeypatch):
    clock = SimpleNamespace(now_s=0.0, slept=[])

    def sleep(seconds: float) -> None:
        clock.slept.append(seconds)
        clock.now_s += seconds

    monkeypatch.setattr(live_sources, "time", SimpleNamespace(monotonic=lambda: clock.now_s, sleep=sleep))
    assert cli("stream", bundle, clip, *EVERYTHING, "--pace").code == 0
    assert clock.now_s == pytest.approx(1.0)
    assert max(clock.slept) == pytest.approx(0.03)


# Pipes


@pytest.mark.parametrize(
    ("encoding", "dtype", "scale"),
    [("s16le", "<i2", 2**15), ("s32le", "<i4", 2**31), ("u8", "u1", 0), ("f32le", "<f4", 1)],
)
def test_raw_samples_of_every_encoding_are_heard(cli, bundle, stdin, second, expected, encoding, dtype, scale):
    samples = (second * scale if scale else second * 128 + 128).astype(dtype)
    stdin(samples.tobytes())
    outcome = cli("stream", bundle, "-", "--encoding", encoding, *EVERYTHING)
    final = expected(samples)
    assert (outcome.code, outcome.out) == (0, f"{final.text}\t{final.label}\n")


class Dribble:
    """A pipe that gives a few bytes at a time."""

    def __init__(self, content: bytes, most: int) -> None:
        self._file, self._most = io.BytesIO(content), most

    def read1(self, size: int) -> bytes:
        return self._file.read(min(size, self._most))


def piped(content: bytes, *, most: int = 1 << 16, **raw) -> tuple[PipedSound, np.ndarray, list[str]]:
    """A pipe, all its samples ``[samples, channels]``, and the warnings."""
    warnings: list[str] = []
    sound = PipedSound("pipe", Dribble(content, most), raw=PcmFormat(**raw), warn=warnings.append)
    blocks = list(sound)
    return sound, np.concatenate(blocks) if blocks else np.zeros((0, 1)), warnings


def wav(samples: bytes, *, tag=1, bits=16, channels=1, rate_hz=8_000, size=None, form=b"RIFF", before=b"") -> bytes:
    """A WAV file, whose header may lie about its size."""
    frame = channels * bits // 8
    described = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * frame, frame, bits)
    if tag == 0xFFFE:
        described += struct.pack("<HHIH14s", 22, bits, 0, 1, b"")
    chunks = struct.pack("<4sI", b"fmt ", len(described)) + described + before
    head = struct.pack("<4sI4s", form, 0xFFFFFFFF, b"WAVE")
    return head + chunks + struct.pack("<4sI", b"data", len(samples) if size is None else size) + samples


@pytest.mark.parametrize("most", [1, 3, 7, 1 << 16])
@pytest.mark.parametrize("size", [None, 0, 0x7FFFF000, 0x80000000, 0xFFFFFFFF])
def test_a_wav_header_is_read_from_the_pipe_whatever_it_says_of_its_size(most, size):
    samples = np.arange(-500, 500, dtype="<i2")
    sound, found, warnings = piped(wav(samples.tobytes(), channels=2, size=size), most=most)
    assert (sound.is_wav, sound.rate_hz, sound.format.channels, warnings) == (True, 8_000, 2, [])
    assert (found == samples.reshape(-1, 2)).all()


@pytest.mark.parametrize(
    ("tag", "bits", "content", "values"),
    [
        (1, 8, b"\x80\x00\xff", [0x80, 0, 0xFF]),
        (1, 16, b"\x01\x00\xff\xff", [1, -1]),
        (1, 24, b"\x01\x00\x00\xff\xff\xff", [256, -256]),
        (1, 32, b"\x01\x00\x00\x00\xff\xff\xff\xff", [1, -1]),
        (3, 32, struct.pack("<2f", 0.5, -0.25), [0.5, -0.25]),
        (0xFFFE, 16, b"\x01\x00\xff\xff", [1, -1]),
    ],
)
def test_wav_samples_of_every_kind_are_read(tag, bits, content, values):
    _, found, warnings = piped(wav(content, tag=tag, bits=bits))
    assert (found[:, 0].tolist(), warnings) == (values, [])


def test_chunks_around_the_samples_are_no_sound():
    before = struct.pack("<4sI", b"LIST", 5) + b"hello\0" + struct.pack("<4sI", b"junk", 200_000) + bytes(200_000)
    _, found, warnings = piped(wav(b"\x01\x00" * 50, before=before) + b"LIST\x04\x00\x00\x00tail")
    assert (len(found), warnings) == (50, [])


def test_rf64_has_its_size_in_a_chunk_of_its_own():
    long_size = struct.pack("<4sIQQQI", b"ds64", 28, 0, 100, 0, 0)
    content = wav(b"\x01\x00" * 50, form=b"RF64", before=long_size, size=0xFFFFFFFF)
    _, found, warnings = piped(content + b"\x01\x00" * 7)
    assert (len(found), warnings) == (50, [])


def test_a_pipe_that_stops_before_what_was_promised_is_a_warning():
    _, found, warnings = piped(wav(b"\x01\x00" * 4_000, size=16_000))
    assert (len(found), warnings) == (4_000, ["pipe: ends after 0.50 s of the 1.00 s promised"])


def test_a_pipe_that_stops_in_the_middle_of_a_sample_is_a_warning():
    _, found, warnings = piped(bytes(101), most=2)
    assert len(found) == 50
    assert warnings == ["pipe: ends in the middle of a sample; is it s16le at 16000 Hz, 1 channel?"]


def test_blocks_are_short_and_come_before_the_end():
    content = bytes(32_000)
    sound = PipedSound("pipe", Dribble(content, 1 << 16), raw=PcmFormat(), warn=print)
    assert max(len(block) for block in sound) <= 0.03 * 16_000
    waiting = SimpleNamespace(read1=iter([bytes(12), bytes(500)]).__next__)
    waiting.read1 = lambda size, give=waiting.read1: give()
    blocks = iter(PipedSound("pipe", waiting, raw=PcmFormat(), warn=print))
    assert [len(next(blocks)), len(next(blocks))] == [6, 250]


@pytest.mark.parametrize(
    ("content", "raw", "reason"),
    [
        (b"fLaC" + bytes(100), {}, "pipe: FLAC, not WAV or raw samples; convert it on its way: ffmpeg"),
        (b"RIFF\0\0\0\0WAVEfmt ", {}, "pipe: ends in its WAV header"),
        (wav(b"", tag=6, bits=8), {}, "pipe: WAV of format 6 with 8 bits, not PCM or 32-bit floats"),
        (wav(b"", channels=0), {}, "pipe: 0 channels, where 1 to 64 are possible"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", {}, "pipe: a WAV header that does not say what its samples are"),
        (
            np.array([0] * 800 + [np.nan] * 9, "<f4").tobytes(),
            {"encoding": "f32le"},
            "pipe: a sample after 0.03 s is not finite; is it f32le at 16000 Hz, 1 channel?",
        ),
    ],
)
def test_what_is_no_sound_is_refused_in_one_line(content, raw, reason):
    with pytest.raises(AudioError) as caught:
        piped(content, **raw)
    assert str(caught.value).startswith(reason)


def mp3(samples: np.ndarray) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, 16_000, format="MP3")
    return content.getvalue()


@pytest.mark.parametrize("most", [1, 1 << 16])
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\0\0\0\x20ftypM4A " + bytes(100), "MP4 or M4A"),
        (b".snd\0\0\0\x18" + bytes(100), "AU"),
        (b"riff\x2e\x91\xcf\x11" + bytes(100), "W64"),
        (b"RIFF\0\0\0\0AVI LIST" + bytes(100), "RIFF of another kind"),
        (b"\r\n<!DOCTYPE html><html></html>", "HTML"),
        (None, "MP3"),
    ],
)
def test_a_pipe_of_another_kind_of_file_is_not_taken_for_raw_samples(second, most, content, kind):
    content = mp3(second) if content is None else content
    assert not content.startswith(b"ID3")
    with pytest.raises(AudioError, match=f"^pipe: {kind}, not WAV or raw samples; convert it on its way"):
        piped(content, most=most)


def test_samples_that_begin_like_a_frame_of_mp3_are_samples_where_no_second_frame_follows(second):
    samples = np.frombuffer(mp3(second)[:4] + bytes(8_000), "<i2")
    _, found, warnings = piped(samples.tobytes())
    assert (found[:, 0] == samples).all()
    assert warnings == []


def test_samples_that_are_not_finite_end_it_after_what_was_said(cli, bundle, stdin, second):
    stdin(np.append(second, np.nan).astype("<f4").tobytes())
    outcome = cli("stream", bundle, "-", "--encoding", "f32le", *EVERYTHING)
    assert (outcome.code, len(outcome.out.splitlines())) == (1, 1)
    assert "s of sound" in outcome.complaints[0]
    assert outcome.complaints[1].startswith("wav2edge: standard input: a sample after 0.99 s is not finite")


def test_samples_of_the_wrong_encoding_say_when_and_what(cli, bundle, stdin):
    stdin(np.full(800, 3e30, "<f4").tobytes())
    outcome = cli("stream", bundle, "-", "--encoding", "f32le", *EVERYTHING)
    assert outcome.code == 1
    assert outcome.complaints[-1].startswith(
        "wav2edge: standard input: after 0.00 s: peak 3e+30 is not plausible audio"
    )


def test_a_wav_header_counts_more_than_the_options(cli, bundle, stdin):
    stdin(wav(pcm16(tiny_bundle.noise(8_000)).tobytes()))
    outcome = cli("stream", bundle, "-", "--rate", "44100", *EVERYTHING)
    assert outcome.code == 0
    assert outcome.complaints[0].startswith("wav2edge: standard input: WAV, so its header counts, and not --rate")
    assert outcome.complaints[1].startswith("wav2edge: 1.0 s of sound")


def test_a_header_with_a_rate_that_no_sound_has_is_one_line(cli, bundle, stdin):
    stdin(wav(bytes(100), rate_hz=5))
    outcome = cli("stream", bundle, "-")
    assert (outcome.code, outcome.out) == (1, "")
    assert "5 Hz is outside 4000 to 768000 Hz" in outcome.complaint


@pytest.mark.parametrize("content", [b"", wav(b"")])
def test_a_pipe_that_gives_no_sound_has_failed(cli, bundle, stdin, content):
    stdin(content)
    outcome = cli("stream", bundle, "-")
    assert (outcome.code, outcome.complaint) == (1, "wav2edge: standard input: no sound came; does what gives it work?")


@pytest.mark.parametrize(
    ("given", "what"), [(None, "closed"), (SimpleNamespace(isatty=lambda: True), "a terminal")], ids=["closed", "tty"]
)
def test_standard_input_without_a_pipe_is_one_line(cli, bundle, monkeypatch, given, what):
    monkeypatch.setattr(sys, "stdin", given)
    assert cli("stream", bundle, "-").complaint == f"wav2edge: standard input: {what}; pipe sound into it"


@needs_signals
def test_a_named_pipe_is_read_while_it_is_written(cli, bundle, tmp_path, python, second):
    path = tmp_path / "sound"
    os.mkfifo(path)
    (tmp_path / "raw").write_bytes(pcm16(second).tobytes())
    writer = python("-c", f"open({str(path)!r}, 'wb').write(open({str(tmp_path / 'raw')!r}, 'rb').read())")
    outcome = cli("stream", bundle, path, *EVERYTHING)
    assert (outcome.code, len(outcome.out.splitlines())) == (0, 1)
    assert writer.wait(LIMIT_S) == 0


# Usage


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["talk.wav", "--rate", "8000"], "--rate is for the microphone and standard input; leave it out for a file"),
        (["-", "--pace"], "--pace is for a file; leave it out for standard input"),
        (["--encoding", "u8"], "--encoding is for standard input; leave it out for the microphone"),
        (["-", "--microphone", "1"], "--microphone is for the microphone; leave it out for standard input"),
        (["-", "--rate", "100"], "--rate 100: give 4000 to 768000 Hz"),
        (["-", "--rate", "0"], "--rate 0: give 4000 to 768000 Hz"),
        (["-", "--channels", "65"], "--channels 65: give 1 to 64"),
        (["-", "--silence", "-1"], "--silence is -1.0; give seconds, 0 or more"),
        (
            ["-", "--kind", "cached"],
            "has no graphs for cached streams; train with --streaming and export with --stream",
        ),
        (["-", "--chunk", "-5"], "a step of -5 ms; give 1 ms or more"),
        (["-", "--vad", "gone.onnx"], "gone.onnx: no such file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(cli, bundle, stdin, words, reason):
    stdin(bytes(1_000))
    outcome = cli("stream", bundle, *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert reason in outcome.complaint


def test_no_bundle_at_all_is_wrong_usage(cli):
    outcome = cli("stream")
    assert (outcome.code, outcome.complaint) == (
        2,
        "wav2edge: no BUNDLE; give the folder that `wav2edge export` wrote",
    )


def test_a_file_that_is_not_there_is_one_line(cli, bundle, tmp_path):
    outcome = cli("stream", bundle, tmp_path / "gone.wav")
    assert (outcome.code, outcome.complaint) == (1, f"wav2edge: {tmp_path / 'gone.wav'}: no such file; check the path")


# Microphones


class PortAudioError(Exception):
    pass


class FakeSoundDevice(SimpleNamespace):
    """Stands in for the package sounddevice; ``blocks`` are recorded at once, and then the device is unplugged."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        device = {"name": "USB Audio", "index": 3, "max_input_channels": 1, "default_samplerate": 16_000.0}
        loudspeaker = {**device, "name": "HDMI", "index": 0, "max_input_channels": 0}
        super().__init__(devices=[loudspeaker, device], default=SimpleNamespace(device=(3, 0)))
        self.blocks: list[np.ndarray] = []
        self.overflows = False
        self.refuses = self.hangs = False
        self.opened: dict[str, object] = {}
        self.closed = False

    def query_devices(self, device=None, kind=None):
        if kind is None:
            return self.devices
        found = [each for each in self.devices if each["max_input_channels"] and device in (None, each["index"], "usb")]
        if not found:
            raise (PortAudioError("Error querying device -1") if device is None else ValueError("No input\n device"))
        return found[0]

    def InputStream(self, **options):  # noqa: N802 its name there
        if self.refuses:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")
        self.opened = options
        return SimpleNamespace(start=self.start, close=self.close)

    def start(self) -> None:
        now_s = 50.0
        for place, block in enumerate(self.blocks):
            lost = self.overflows and place == 10
            now_s += 0.25 if lost else 0.0
            times = SimpleNamespace(inputBufferAdcTime=now_s)
            self.opened["callback"](block[:, None], len(block), times, SimpleNamespace(input_overflow=lost))
            now_s += len(block) / self.opened["samplerate"]
        if not self.hangs:
            self.opened["finished_callback"]()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def sound_device(monkeypatch, second):
    device = FakeSoundDevice()
    device.blocks = [second[first : first + 480] for first in range(0, len(second), 480)]
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    return device


def test_a_microphone_that_is_unplugged_keeps_what_was_said(cli, bundle, sound_device, second, expected):
    outcome = cli("stream", bundle, *EVERYTHING)
    final = expected(second)
    assert (outcome.code, outcome.out) == (3, f"{final.text}\t{final.label}\n")
    assert outcome.complaints[0].startswith("wav2edge: 1.0 s of sound")
    assert outcome.complaints[1] == "wav2edge: microphone 'USB Audio': gives no sound any more; is it unplugged?"
    assert sound_device.closed
    opened = {name: sound_device.opened[name] for name in ("samplerate", "blocksize", "device", "channels", "dtype")}
    assert opened == {"samplerate": 16_000, "blocksize": 480, "device": 3, "channels": 1, "dtype": "float32"}


def test_a_microphone_that_falls_silent_without_a_word_is_unplugged_too(cli, bundle, sound_device, monkeypatch):
    monkeypatch.setattr(microphone, "SILENT_S", 0.05)
    sound_device.hangs = True
    outcome = cli("stream", bundle, *EVERYTHING)
    assert (outcome.code, len(outcome.out.splitlines())) == (3, 1)
    assert outcome.complaints[1].endswith("is it unplugged?")


def test_what_a_recogniser_that_is_behind_loses_is_said(cli, bundle, sound_device, monkeypatch):
    monkeypatch.setattr(microphone, "WAITING_S", 0.6)
    outcome = cli("stream", bundle, *EVERYTHING)
    assert outcome.complaints[0].startswith("wav2edge: 0.4 s of sound, ")
    assert outcome.complaints[0].endswith(", and 0.6 s lost in 1 place: the machine is too slow")


def test_what_the_sound_card_loses_is_a_gap_and_is_said(cli, bundle, sound_device):
    sound_device.overflows = True
    outcome = cli("stream", bundle, *EVERYTHING, "--json", "--finals")
    assert [event["reason"] for event in outcome.jsonl] == ["gap", "finish"]
    assert outcome.jsonl[1]["start_s"] == pytest.approx(0.55)
    assert ", and 0.2 s lost in 1 place" in outcome.complaints[0]


@pytest.fixture
def heeded_interrupts():
    """Ctrl-C is heeded, as on a terminal; a shell starts what runs in the background with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@needs_signals
@pytest.mark.usefixtures("heeded_interrupts")
def test_an_interrupt_gives_what_was_recorded_and_not_yet_recognised_and_exit_code_130(
    cli, bundle, sound_device, second, expected
):
    sound_device.hangs = True
    before = signal.getsignal(signal.SIGINT)
    start = sound_device.start

    def start_and_interrupt() -> None:
        start()
        os.kill(os.getpid(), signal.SIGINT)

    sound_device.start = start_and_interrupt
    outcome = cli("stream", bundle, *EVERYTHING)
    final = expected(second)
    assert (outcome.code, outcome.out) == (130, f"{final.text}\t{final.label}\n")
    assert outcome.complaint.startswith("wav2edge: 1.0 s of sound")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_microphone_is_chosen_by_its_number_or_name(cli, bundle, sound_device):
    for name in ("3", "usb"):
        assert cli("stream", bundle, "--microphone", name, "--rate", "48000", *EVERYTHING).code == 3
        assert (sound_device.opened["device"], sound_device.opened["samplerate"]) == (3, 48_000)


def test_a_microphone_that_is_not_there_is_wrong_usage(cli, bundle, sound_device):
    outcome = cli("stream", bundle, "--microphone", "studio")
    assert (outcome.code, outcome.complaint) == (
        2,
        "wav2edge: --microphone studio: No input device; see --list-microphones",
    )


def test_no_microphone_at_all_is_one_line(cli, bundle, sound_device):
    del sound_device.devices[1]
    outcome = cli("stream", bundle)
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.complaint.startswith("wav2edge: no microphone found; plug one in")
    assert cli("stream", "--list-microphones").complaint.startswith("wav2edge: no microphone found; plug one in")


def test_a_microphone_that_cannot_be_opened_is_one_line(cli, bundle, sound_device):
    sound_device.refuses = True
    outcome = cli("stream", bundle)
    assert outcome.code == 3
    assert outcome.complaint == (
        "wav2edge: microphone 'USB Audio': Invalid sample rate [PaErrorCode -9997]; try another --rate or --channels,"
        " or see --list-microphones"
    )


def test_the_microphones_are_listed_without_a_bundle(cli, sound_device):
    outcome = cli("stream", "--list-microphones")
    assert (outcome.code, outcome.out, outcome.err) == (0, "*   3  USB Audio  (1 in, 16000 Hz)\n", "")


def test_a_missing_package_or_library_is_one_line_with_the_line_to_install_it(cli, bundle, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    outcome = cli("stream", bundle)
    assert (outcome.code, outcome.complaint) == (
        3,
        "wav2edge: a microphone needs sounddevice, which is not installed; run: pip install 'wav2edge[mic]'",
    )
    monkeypatch.delitem(sys.modules, "sounddevice")
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    outcome = cli("stream", bundle)
    assert outcome.code == 3
    assert "needs the library PortAudio, which is not installed; run: apt install libportaudio2" in outcome.complaint


# What is written


@pytest.mark.parametrize(
    ("terminal", "term", "as_json", "kind"),
    [
        (True, "xterm", False, Screen),
        (True, "dumb", False, Lines),
        (False, "xterm", False, Lines),
        (True, "xterm", True, JsonLines),
    ],
)
def test_a_live_line_is_for_terminals_only(monkeypatch, terminal, term, as_json, kind):
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: terminal, encoding="utf-8"))
    monkeypatch.setenv("TERM", term)
    assert type(output_for(Namespace(json=as_json, finals=False))) is kind


def test_a_rejected_answer_is_an_empty_line(cli, bundle, clip):
    assert cli("stream", bundle, clip, *EVERYTHING, "--reject", "1").out == "\t\n"


# As a process of its own


@pytest.mark.slow
@needs_signals
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_answers_come_while_the_pipe_is_open_and_a_signal_gives_the_rest(python, bundle, second, number):
    process = python(
        "-m",
        "wav2edge",
        "stream",
        bundle,
        "-",
        "--json",
        *EVERYTHING,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        process.stdin.write(pcm16(second).tobytes())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["type"] == "partial"
        process.send_signal(number)
        assert process.wait(LIMIT_S) == 128 + number
        assert json.loads(process.stdout.readlines()[-1])["reason"] == "finish"
        assert b"of sound" in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@needs_signals
def test_a_terminal_ends_with_the_answers_and_no_live_line(python, bundle, clip):
    import pty

    ours, theirs = pty.openpty()
    process = python(
        "-m", "wav2edge", "stream", bundle, clip, *EVERYTHING, stdout=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    written = b""
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        try:
            written += os.read(ours, 4096)
        except OSError:  # Linux says so that nobody writes any more
            break
    os.close(ours)
    assert process.wait(LIMIT_S) == 0
    process.communicate()
    shown = written.decode().replace("\r\n", "\n")
    assert shown.endswith(("\n", "\r\x1b[2K", "\r\x1b[J"))
    assert "[0:00.0] " in shown.splitlines()[-1] or "[0:00.0] " in shown.splitlines()[-2]
