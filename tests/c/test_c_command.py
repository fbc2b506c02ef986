"""The command ``wav2edge-c``, the examples, and what the library promises of memory and size."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

import wav2edge
from tests.c.c_library import differences
from tests.c.conftest import BUILD, MODELS, SOURCE, WORDS, WORDS_STREAM, build, run_checked

LARGEST_COMMAND_BYTES = 120_000
RUNS = 3_000
TARGETS = ("manifest", "wav", "samples", "graph", "logits")


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_run_writes_the_fields_of_python(command, words_engine, wav_clips):
    found = lines(command("run", WORDS, *wav_clips[:3], "--json", "--threads", 1).stdout)
    expected = [{"path": str(path), **words_engine(path).to_dict()} for path in wav_clips[:3]]
    assert differences(found, expected, 1.1e-6) == []


def test_run_writes_columns(command, wav_clips):
    assert command("run", WORDS, wav_clips[3]).stdout == "fu dan\t3\n"
    many = command("run", WORDS, *wav_clips[3:5]).stdout.splitlines()
    assert many[0] == f"{wav_clips[3]}\tfu dan\t3"


def test_run_reads_standard_input(command, wav_clips):
    assert command("run", WORDS, "-", stdin=wav_clips[3].read_bytes()).stdout == "fu dan\t3\n"


def test_a_recording_has_a_line_for_each_segment(command, words_engine, recording, tmp_path):
    path = tmp_path / "recording.wav"
    soundfile.write(path, recording, 16_000, subtype="FLOAT")
    expected = words_engine(path)
    found = command("run", WORDS, path).stdout.splitlines()
    assert [line.split("\t")[2] for line in found] == [segment.text for segment in expected.segments]
    (document,) = lines(command("run", WORDS, path, "--json").stdout)
    assert differences(document, {"path": str(path), **expected.to_dict()}, 1.1e-6) == []


def test_an_input_that_fails_does_not_stop_the_rest(command, wav_clips, tmp_path):
    gone = tmp_path / "gone.wav"
    done = command("run", WORDS, gone, wav_clips[3], "--json", code=1)
    assert f"{gone}: no such file; check the path" in done.stderr
    assert "1 of 2 inputs failed, the rest are answered" in done.stderr
    assert list(lines(done.stdout)[0]) == ["path", "error"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("fly",), 2),
        (("run",), 2),
        (("run", WORDS), 2),
        (("run", WORDS, "x.wav", "--speed", "3"), 2),
        (("run", WORDS, "x.wav", "--threads", "many"), 2),
        (("run", WORDS, "x.wav", "--reject", "2"), 2),
        (("run", WORDS, "x.wav", "--threads", "100000"), 2),
        (("run", WORDS, "x.wav", "--kind", "cached"), 2),
        (("run", MODELS, "x.wav"), 3),
        (("stream", WORDS, "--kind", "cached"), 2),
        (("stream", WORDS, "gone.wav"), 1),
        (("stream", WORDS, "-", "x.wav"), 2),
        (("stream", WORDS, "-", "--no-segments"), 2),
        (("verify", WORDS, "x.wav"), 2),
        (("verify", WORDS, "--variant", "nope"), 2),
        (("verify", MODELS), 3),
    ],
)
def test_exit_codes_say_what_is_wrong(command, words, code):
    assert command(*words, code=code).stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", WORDS, "x.wav", "--frob"), "--frob: unknown option of run; see wav2edge-c --help"),
        (("verify", WORDS, "--reject", "1"), "--reject: unknown option of verify; see wav2edge-c --help"),
        (("verify", WORDS, "x.wav"), "x.wav: one word too many for verify; see wav2edge-c --help"),
        (("run", WORDS, "--threads"), "--threads: needs a value; see wav2edge-c --help"),
        (("run", WORDS, "--threads", "1.5"), "--threads: no whole number: 1.5; see wav2edge-c --help"),
        (
            ("run", WORDS, "x.wav", "--longest-segment", "0.1"),
            "--longest-segment is 0.1; a segment needs at least 0.5 s",
        ),
        (("stream", WORDS, "--silence", "-1"), "--silence is -1.0; give seconds, 0 or more"),
        (("stream", WORDS, "--chunk", "0"), "--chunk: give more than 0, not 0; see wav2edge-c --help"),
        (
            ("run", WORDS, "x.wav", "--longest-segment", "0"),
            "--longest-segment: give more than 0, not 0; see wav2edge-c --help",
        ),
    ],
)
def test_a_wrong_word_is_named_as_it_was_typed(command, words, told):
    assert command(*words, code=2).stderr == f"wav2edge-c: {told}\n"


@pytest.mark.parametrize("words", [("-h",), ("--help",), ("run", "--help"), ("stream", WORDS, "-h")])
def test_who_asks_for_help_gets_it(command, words):
    assert command(*words).stdout.startswith("usage: wav2edge-c run BUNDLE FILE.wav...")


def to_shell(built, environment, words: str) -> tuple[int, str]:
    """The exit code of ``wav2edge-c`` as a shell runs it, and what it tells."""
    line = f"{built / 'wav2edge-c'} {words}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=environment, check=False)
    return done.returncode, done.stderr


def test_answers_that_cannot_be_written_are_an_error(built, environment, wav_clips):
    clip = wav_clips[3]
    answers = [
        f"run {WORDS} {clip}",
        f"run {WORDS} {clip} --json",
        f"stream {WORDS} {clip} --finals",
        f"verify {WORDS}",
    ]
    for words in (*answers, "--help"):
        found = to_shell(built, environment, f"{words} >/dev/full")
        assert found == (1, "wav2edge-c: input or output: No space left on device\n")
    told = "standard output is closed; send it to a file or a pipe, or to the null device"
    assert to_shell(built, environment, f"run {WORDS} {clip} >&-") == (1, f"wav2edge-c: {told}\n")


def test_a_name_that_is_no_text_is_written_as_json_nevertheless(command, wav_clips, tmp_path):
    names = ["bad\udcff.wav", "\udced\udca0\udc80.wav", "fu dàn 復旦 𝄞.wav"]
    for name in names:
        shutil.copy(wav_clips[3], tmp_path / name)
    found = lines(command("run", WORDS, *(tmp_path / name for name in names), "--json").stdout)
    assert [each["path"] for each in found] == [str(tmp_path / name) for name in names]
    assert {each["text"] for each in found} == {"fu dan"}


def test_options_have_their_effect(command, recording, tmp_path):
    path = tmp_path / "recording.wav"
    soundfile.write(path, recording[:80_000], 16_000)
    whole = command("run", WORDS, path, "--longest-segment", "0.6", "--no-segments").stdout
    assert len(whole.splitlines()) == 1
    assert len(command("run", WORDS, path, "--longest-segment", "0.6").stdout.splitlines()) > 1


def pcm16(recording: np.ndarray) -> bytes:
    return (recording * 32_767).astype("<i2").tobytes()


def test_stream_writes_the_events_of_python(command, stream_engine, recording, tmp_path):
    content = pcm16(recording[:100_000])
    with stream_engine.stream() as stream:
        expected = [event.to_dict() for event in [*stream.feed(content), *stream.finish()]]
    found = lines(command("stream", WORDS_STREAM, "--json", stdin=content).stdout)
    for event in [*expected, *found]:
        del event["latency_s"]
    assert differences(found, expected, 1.1e-4) == []
    header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x80>\0\0\0}\0\0\x02\0\x10\0data\xff\xff\xff\xff"
    finals = command("stream", WORDS_STREAM, "-", "--json", "--finals", stdin=header + content).stdout
    assert [event["text"] for event in lines(finals)] == [each["text"] for each in expected if each["type"] == "final"]
    path = tmp_path / "clip.wav"
    path.write_bytes(header + content)
    assert len(command("stream", WORDS_STREAM, path).stdout.splitlines()) == len(lines(finals))


OTHER_SOUND = {
    b"OggS": "Ogg",
    b"ID3\x04": "MP3",
    b"FORM": "AIFF",
    b"caff": "CAF",
    b".snd": "AU",
    b"riff": "W64",
    b"\x1aE\xdf\xa3": "WebM",
    b"\0\0\0\x20ftypM4A ": "MP4 or M4A",
}
CONVERT = "not WAV or raw samples; convert it on its way: ffmpeg -i IN -f wav - | wav2edge-c stream BUNDLE -"


def test_a_file_of_another_kind_is_not_taken_for_raw_samples(command):
    flac = MODELS / "stream.flac"
    assert f"{flac}: FLAC, {CONVERT}" in command("stream", WORDS_STREAM, flac, code=1).stderr
    for beginning, name in OTHER_SOUND.items():
        done = command("stream", WORDS_STREAM, stdin=beginning + bytes(64), code=1)
        assert done.stderr == f"wav2edge-c: standard input: {name}, {CONVERT}\n"


def test_a_source_that_cannot_be_read_is_not_silence(command, environment, built, tmp_path):
    told = command("stream", WORDS_STREAM, tmp_path, code=1).stderr
    assert told == f"wav2edge-c: {tmp_path}: a folder; give one of its clips\n"
    closed = f"{built / 'wav2edge-c'} stream {WORDS_STREAM} <&-"
    done = subprocess.run(["sh", "-c", closed], capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (1, b"wav2edge-c: standard input: closed; pipe sound into it\n")


def test_sound_that_breaks_off_is_told(command, wav_clips, tmp_path):
    whole, cut = wav_clips[3].read_bytes(), tmp_path / "cut.wav"
    cut.write_bytes(whole[:-16_000])
    told = command("stream", WORDS, cut).stderr
    assert told.startswith(f"wav2edge-c: {cut}: truncated, it ends before its sound does\n")
    told = command("stream", WORDS, "-", stdin=cut.read_bytes()).stderr
    assert told.startswith("wav2edge-c: standard input: ends after 0.62 s of the 1.12 s promised\n")
    cut.write_bytes(whole + whole)
    assert f"{cut}: cannot be decoded" in command("stream", WORDS, cut, code=1).stderr


def test_a_source_from_which_no_sound_comes_is_an_error(command, wav_clips, tmp_path):
    header = tmp_path / "header.wav"
    header.write_bytes(wav_clips[3].read_bytes()[:44])
    wanted = "no sound came; does what gives it work?\n"
    assert command("stream", WORDS, "-", code=1).stderr == f"wav2edge-c: standard input: {wanted}"
    assert command("stream", WORDS, header, code=1).stderr.endswith(f"wav2edge-c: {header}: {wanted}")


def test_the_header_of_a_wav_file_says_its_rate(command, wav_clips):
    clip, told = wav_clips[3], "WAV, so its header counts; leave out --rate and --channels\n"
    assert command("stream", WORDS, clip, "--rate", 8_000, code=2).stderr == f"wav2edge-c: {clip}: {told}"
    done = command("stream", WORDS, "--rate", 8_000, stdin=clip.read_bytes())
    assert done.stdout == "fu dan\t3\n"
    assert f"standard input: {told}" in done.stderr


def test_a_refused_block_is_named_with_its_time(command, recording):
    header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x03\0\x01\0\x80>\0\0\0\xfa\0\0\x04\0 \0data\xff\xff\xff\xff"
    content = header + recording[:8_000].tobytes() + b"\0\0\xc0\x7f" * 500
    done = command("stream", WORDS_STREAM, stdin=content, code=1)
    assert (
        "standard input: after 0.48 s: samples that are not finite, 160 in all, the first at index 320, channel 0"
        in done.stderr
    )


def test_verify_lists_the_checks(command):
    done = command("verify", WORDS)
    assert "ok    golden int8: outputs within" in done.stdout
    checks = json.loads(command("verify", WORDS, "--json").stdout)["checks"]
    assert all(check["passed"] for check in checks)
    assert {"golden int8", "certificate int8", "vocab.json"} <= {check["name"] for check in checks}


def test_the_examples_run(built, environment, wav_clips, recording):
    run = run_checked(built / "run_file", WORDS, wav_clips[3], env=environment).stdout
    assert run.startswith("fu dan (")
    assert run.endswith("class 3\n")
    raii = run_checked(built / "raii", WORDS, *wav_clips[3:5], env=environment).stdout
    assert raii.splitlines()[0] == "fu dan\t3"
    piped = subprocess.run(
        [built / "stream_file", WORDS_STREAM],
        input=pcm16(recording[:60_000]),
        capture_output=True,
        env=environment,
        check=True,
    )
    assert b"final" in piped.stdout
    gone = subprocess.run(
        [built / "raii", WORDS, "gone.wav"], capture_output=True, text=True, env=environment, check=False
    )
    assert (gone.returncode, gone.stderr) == (1, "gone.wav: no such file; check the path\n")


def test_the_examples_of_the_readme_answer_all_of_the_sound(environment, built, clip, tmp_path):
    whole, options, stream = re.findall(r"```c\n(.*?)```", (SOURCE / "README.md").read_text(), re.DOTALL)
    sound = f"static const short SOUND[] = {{{','.join(map(str, clip))}}};"
    (tmp_path / "stream.c").write_text(
        f"""#include <stdio.h>
        #include "wav2edge.h"
        {sound}
        static size_t next_block(float *samples, size_t most)
        {{
            static size_t at;
            size_t count = 0;
            while (count < most && at < sizeof SOUND / 2) samples[count++] = SOUND[at++] / 32768.0f;
            return count;
        }}
        {stream}
        int main(void)
        {{
            w2e_error error;
            {options}
            w2e_close(engine);
            return !transcribe(w2e_open("{WORDS_STREAM}", NULL, &error), &error);
        }}"""
    )
    (tmp_path / "whole.c").write_text(whole)
    (tmp_path / "bundle").symlink_to(WORDS)
    soundfile.write(tmp_path / "clip.wav", clip, 16_000)
    for name in ("stream", "whole"):
        program = tmp_path / name
        run_checked("cc", f"{program}.c", f"-I{SOURCE}", built / "libwav2edge.a", "-lm", "-ldl", "-o", program)
    assert run_checked(tmp_path / "whole", cwd=tmp_path, env=environment).stdout == "fu dan\n"
    assert run_checked(tmp_path / "stream", cwd=tmp_path, env=environment).stdout == "fu dan\n"


def test_nothing_is_allocated_for_what_is_no_longer_than_before(built, environment, recording, tmp_path):
    samples = tmp_path / "samples.s16"
    samples.write_bytes(pcm16(recording[:120_000]))
    found = run_checked(built / "probe", "allocations", WORDS_STREAM, samples, env=environment).stdout
    assert dict(line.rsplit(": ", 1) for line in found.splitlines()) == {
        "greedy at 16000 Hz": "0",
        "greedy at 48000 Hz": "0",
        "grammar at 16000 Hz": "0",
        "beam at 16000 Hz": "0",
        "windowed stream at 16000 Hz": "0",
        "cached stream at 16000 Hz": "0",
        "two-pass stream at 8000 Hz": "0",
    }


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 44_101, 48_000, 96_000])
def test_resampling_is_that_of_soxr(built, rate_hz):
    import soxr

    time_s = np.arange(rate_hz) / rate_hz
    rng = np.random.default_rng(rate_hz)
    band_hz = 0.45 * min(rate_hz, 16_000)
    tones = zip(rng.uniform(50, band_hz, 12), rng.uniform(0, 6, 12), strict=True)
    sound = np.hanning(rate_hz) * sum(np.sin(2 * np.pi * hz * time_s + phase) for hz, phase in tones) / 12
    content = sound.astype(np.float32).tobytes()
    done = subprocess.run(
        [built / "probe", "resample", str(rate_hz), "777"], input=content, capture_output=True, check=True
    )
    found, expected = np.frombuffer(done.stdout, np.float32), soxr.resample(sound, rate_hz, 16_000)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_the_errors_of_devices_come_behind_those_of_bundles():
    """The library tells them apart by their place in the table; those that it never raises do not count."""
    table = json.loads((SOURCE.parent / "messages.json").read_text())
    source = (SOURCE / "wav2edge.c").read_text().partition("/* messages.json: end */")[2]
    used = {name: entry["error"] for name, entry in table.items() if f"MESSAGE_{name.upper()}," in source}
    kinds = [kind for kind in used.values() if kind in ("BundleError", "DeviceError")]
    assert kinds == sorted(kinds)
    assert [name for name, kind in used.items() if kind == "BundleError"][-1] == "decoder_damaged"


def test_no_function_is_longer_than_a_screen():
    source = (SOURCE / "wav2edge.c").read_text().splitlines()
    begins = [place for place, line in enumerate(source) if line == "{"]
    ends = [place for place, line in enumerate(source) if line == "}"]
    assert len(begins) == len(ends) > 200
    assert max(end - begin for begin, end in zip(begins, ends, strict=True)) <= 60


@pytest.mark.slow
def test_the_command_is_small(tmp_path):
    folder = build(BUILD / "small", "wav2edge-c", CMAKE_BUILD_TYPE="MinSizeRel", W2E_EXAMPLES="OFF")
    stripped = tmp_path / "wav2edge-c"
    run_checked("strip", "-o", stripped, folder / "wav2edge-c")
    assert stripped.stat().st_size <= LARGEST_COMMAND_BYTES


@pytest.mark.slow
def test_an_installed_library_is_found_and_linked(built, environment, wav_clips, tmp_path):
    run_checked("cmake", "--install", built, "--prefix", tmp_path)
    example = SOURCE / "examples" / "run_file.c"
    libraries = [path.parent for path in tmp_path.rglob("libwav2edge.so")]
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed")
    found = {**os.environ, "PKG_CONFIG_PATH": str(libraries[0] / "pkgconfig")}
    flags = run_checked("pkg-config", "--cflags", "--libs", "wav2edge", env=found).stdout.split()
    run_checked("cc", example, "-o", tmp_path / "run_file", *flags)
    linked = {**environment, "LD_LIBRARY_PATH": str(libraries[0])}
    assert run_checked(tmp_path / "run_file", WORDS, wav_clips[3], env=linked).stdout.startswith("fu dan")


def test_cmake_gives_the_same_targets_to_a_program_that_finds_the_library_and_to_one_that_holds_it(built, tmp_path):
    prefix = tmp_path / "prefix"
    run_checked("cmake", "--install", built, "--prefix", prefix)
    ways = {"found": "find_package(wav2edge 0.1 REQUIRED)", "held": f'add_subdirectory("{SOURCE}" library)'}
    for name, way in ways.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "CMakeLists.txt").write_text(
            f"""cmake_minimum_required(VERSION 3.21)
            project(program LANGUAGES C)
            {way}
            foreach(target wav2edge::wav2edge wav2edge::wav2edge_static)
              get_target_property(folders ${{target}} INTERFACE_INCLUDE_DIRECTORIES)
            endforeach()"""
        )
        run_checked("cmake", "-S", tmp_path / name, "-B", tmp_path / name / "b", f"-DCMAKE_PREFIX_PATH={prefix}")
    asked = tmp_path / "found" / "CMakeLists.txt"
    asked.write_text(asked.read_text().replace("0.1 REQUIRED", "0.2 REQUIRED"))
    again = ["cmake", "-S", asked.parent, "-B", tmp_path / "again", f"-DCMAKE_PREFIX_PATH={prefix}"]
    assert b"version: 0.1.0" in subprocess.run(again, capture_output=True, check=False).stderr


@pytest.mark.slow
def test_sanitizers_find_nothing(command, wav_clips, recording, tmp_path):
    settings = {"CMAKE_BUILD_TYPE": "Debug", "W2E_SANITIZE": "address,undefined", "W2E_EXAMPLES": "OFF"}
    folder = build(BUILD / "sanitized", "wav2edge-c", **settings)
    program = folder / "wav2edge-c"
    long = tmp_path / "recording.wav"
    soundfile.write(long, recording, 16_000)
    command("verify", WORDS_STREAM, program=program)
    command("run", WORDS, *wav_clips, long, "--json", program=program)
    for decoder in ('{"grammar": {"phrases": ["fu dan", "yu yin"]}}', '{"beam": {"hotwords": {"fu dan": 3}}}'):
        command("run", WORDS, *wav_clips[:4], "--decoder", decoder, program=program)
    for kind in ("windowed", "cached", "two-pass"):
        command("stream", WORDS_STREAM, "--kind", kind, "--json", stdin=pcm16(recording), program=program)
    command("run", WORDS, tmp_path, tmp_path / "gone.wav", WORDS / "manifest.json", program=program, code=1)
    command("stream", WORDS_STREAM, MODELS / "stream.flac", program=program, code=1)


@pytest.mark.slow
def test_damaged_input_does_no_damage(tmp_path):
    if shutil.which("clang") is None:
        pytest.skip("the fuzz targets are built with clang, which is no dependency of wav2edge")
    compilers = {"CMAKE_C_COMPILER": "clang", "CMAKE_CXX_COMPILER": "clang++"}
    settings = {"W2E_FUZZ": "ON", "CMAKE_BUILD_TYPE": "Debug", "W2E_EXAMPLES": "OFF"}
    folder = build(BUILD / "fuzz", *(f"fuzz_{name}" for name in TARGETS), **compilers, **settings)

    def fuzz(name: str) -> None:
        corpus = tmp_path / name
        corpus.mkdir()
        seeds = SOURCE / "fuzz" / "seeds" / name
        run_checked(folder / f"fuzz_{name}", f"-runs={RUNS}", "-seed=14", "-max_len=2048", corpus, seeds)

    with ThreadPoolExecutor() as pool:
        list(pool.map(fuzz, TARGETS))


def test_the_version_is_that_of_the_package(command):
    assert command("--version").stdout == f"wav2edge-c {wav2edge.__version__}\n"
