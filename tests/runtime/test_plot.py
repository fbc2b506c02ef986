"""The picture of a recording: its waveform, segments and words where they are, whatever its length."""

from __future__ import annotations

import os
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from matplotlib.backends import backend_agg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.font_manager import fontManager, get_font
from matplotlib.image import imread

from wav2edge import MissingDependencyError, UsageError
from wav2edge.output.plot import check_plot, picture, write_plot
from wav2edge.output.plot.drawing import COLUMNS, REJECTED, SPEECH, VERMILLION, WAVE, draw, row_length
from wav2edge.output.plot.envelope import Envelope, envelope_of
from wav2edge.output.plot.lettering import PALE, fonts_for
from wav2edge.output.result import Result, Segment, Word


def segment(start_s, *texts, step_s=0.4, label="3", **fields):
    words = tuple(
        Word(text=text, start_s=start_s + number * step_s, end_s=start_s + (number + 0.5) * step_s, confidence=0.9)
        for number, text in enumerate(texts)
    )
    end_s = start_s + max(1, len(texts)) * step_s
    scores = {label: 0.9, "other": 0.1}
    return Segment(start_s=start_s, end_s=end_s, text=" ".join(texts), words=words, scores=scores, **fields)


def recording(duration_s, *segments):
    return Result.of_segments(segments, duration_s=duration_s)


def drawn(result, *, row_s=None):
    level = np.full(round(result.duration_s / 0.01), 0.5, np.float32)
    envelope = Envelope(low=-level, high=level, stretch_s=0.01)
    return draw(result, envelope, row_s=row_s or result.duration_s, title="talk.wav")


def texts(axes):
    return {text.get_text(): text.get_position() for text in axes.texts}


def grounds(axes):
    """Left and right end of each segment, with its colour."""
    return [
        (round(patch.get_x(), 3), round(patch.get_x() + patch.get_width(), 3), to_hex(patch.get_facecolor()))
        for patch in axes.patches
    ]


def test_words_stand_over_the_middle_of_their_times_and_segments_behind_them():
    figure = drawn(recording(10.0, segment(1.0, "fu", "dan"), segment(6.0, "bei", "jing")))
    (axes,) = figure.axes
    assert {name: round(x, 2) for name, (x, y) in texts(axes).items() if y > 1} == {
        "fu": 1.1,
        "dan": 1.5,
        "bei": 6.1,
        "jing": 6.5,
    }
    assert grounds(axes) == [(1.0, 1.8, SPEECH), (6.0, 6.8, SPEECH)]
    assert [text.get_text() for text in axes.texts if text.get_position()[1] < 0] == ["3 (0.90)", "3 (0.90)"]
    assert figure._suptitle.get_text() == "talk.wav"


def test_words_that_would_touch_stand_at_other_heights_and_none_covers_another():
    crowd = segment(1.0, *["wenzhou", "shanghai", "beijing", "tianjin", "chongqing"], step_s=0.35)
    (axes,) = drawn(recording(30.0, crowd)).axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len({round(y, 2) for _, y in texts(axes).values()}) > 1
    assert not any(a.overlaps(b) for place, a in enumerate(boxes) for b in boxes[:place])


def test_a_word_at_the_edge_is_moved_inside():
    (axes,) = drawn(recording(20.0, segment(19.5, "chongqing", step_s=0.5))).axes
    (word,) = (text for text in axes.texts if text.get_text() == "chongqing")
    assert word.get_window_extent().x1 <= axes.get_window_extent().x1 + 0.5


def test_rejected_segments_have_another_ground_and_say_so():
    (axes,) = drawn(recording(10.0, segment(1.0, "fu"), segment(6.0, "bei").as_rejected())).axes
    assert [colour for *_, colour in grounds(axes)] == [SPEECH, REJECTED]
    assert "rejected" in texts(axes)
    assert "bei" not in texts(axes)


def test_without_word_times_the_text_stands_over_its_segment():
    untimed = Segment(start_s=2.0, end_s=4.0, text="fu dan")
    (axes,) = drawn(recording(10.0, untimed)).axes
    assert texts(axes)["fu dan"][0] == pytest.approx(3.0)


def test_a_clip_that_was_answered_whole_is_one_segment():
    result = Result(duration_s=1.2, text="fu", words=(Word(text="fu", start_s=0.4, end_s=0.6, confidence=1.0),))
    (axes,) = drawn(result).axes
    assert grounds(axes) == [(0.0, 1.2, SPEECH)]
    assert texts(axes)["fu"][0] == pytest.approx(0.5)


def test_minutes_have_rows_and_each_word_stands_in_its_own():
    figure = drawn(recording(120.0, segment(10.0, "fu"), segment(70.0, "dan")), row_s=60.0)
    first, second = figure.axes
    assert ("fu" in texts(first), "fu" in texts(second)) == (True, False)
    assert ("dan" in texts(first), "dan" in texts(second)) == (False, True)
    assert second.get_xlim() == (60.0, 120.0)
    assert [label.get_text() for label in second.get_xticklabels()][:2] == ["1:00", "1:05"]


def test_an_hour_has_no_words_and_shows_what_is_rejected_in_a_strip():
    answered = [segment(10.0 * number, "fu") for number in range(300)]
    result = recording(3600.0, *answered, segment(3500.0, "fu").as_rejected())
    figure = drawn(result, row_s=row_length(result))
    assert [axes.get_xlim() for axes in figure.axes] == [(600.0 * row, 600.0 * (row + 1)) for row in range(6)]
    assert [text for axes in figure.axes for text in axes.texts] == []
    marks = [patch for axes in figure.axes for patch in axes.patches]
    assert [to_hex(patch.get_facecolor()) for patch in marks] == [PALE] * 300 + [VERMILLION]
    assert {round(patch.get_height(), 3) for patch in marks} == {0.07}
    assert [text.get_text() for text in figure.texts] == ["talk.wav", "1 of 301 segments rejected"]
    assert "30:00" in [label.get_text() for label in figure.axes[2].get_xticklabels()]


@pytest.mark.parametrize(
    ("duration_s", "row_s"),
    [(1.1, 1.1), (60.0, 60.0), (63.0, 63.0), (90.0, 45.0), (720.0, 60.0), (3602.0, 3602 / 6), (36_000.0, 3_600.0)],
)
def test_rows_are_equal_and_grow_with_the_recording(duration_s, row_s):
    assert row_length(recording(duration_s)) == pytest.approx(row_s)


def test_ten_days_are_not_more_than_twelve_rows():
    assert 864_000 / row_length(recording(864_000.0)) <= 12


def test_rows_are_shorter_where_words_are_many():
    fast = [segment(4.0 * number, *["recordings"] * 10) for number in range(15)]
    assert row_length(recording(60.0, *fast)) == 15.0
    labels = [segment(2.0 * number, label="a long class") for number in range(30)]
    assert row_length(recording(60.0, *labels)) < 60.0


def test_what_finds_no_room_is_counted():
    crowd = segment(1.0, *["chongqing"] * 40, step_s=0.05)
    figure = drawn(recording(60.0, crowd))
    written = sum(text.get_text() == "chongqing" for text in figure.axes[0].texts)
    assert 0 < written < 40
    assert figure.texts[-1].get_text() == f"no room for {40 - written} of the texts"


def test_words_that_stand_on_each_other_read_downwards():
    (axes,) = drawn(recording(60.0, segment(30.0, "shang", "hai"))).axes
    assert texts(axes)["shang"][1] > texts(axes)["hai"][1] > 1


def test_a_label_is_written_without_its_score_where_there_is_no_room_for_both():
    (axes,) = drawn(recording(60.0, *[segment(10 + 1.2 * number, "fu", label="3") for number in range(4)])).axes
    labels = [text.get_text() for text in axes.texts if text.get_position()[1] < 0]
    assert labels[:2] == ["3 (0.90)", "3"]


def test_a_long_text_without_word_times_is_broken_into_lines_within_its_segment():
    untimed = Segment(start_s=5.0, end_s=15.0, text="the words of a meeting " * 20)
    (axes,) = drawn(recording(20.0, untimed)).axes
    lines = sorted(axes.texts, key=lambda text: -text.get_position()[1])
    assert len(lines) == 3
    assert lines[0].get_text().startswith("the words of a meeting")
    assert lines[-1].get_text().endswith("…")
    left, right = axes.transData.transform([(5, 0), (15, 0)])[:, 0]
    assert all(left <= line.get_window_extent().x0 and line.get_window_extent().x1 <= right for line in lines)


@pytest.mark.parametrize("block", [1, 7, 1_000, 16_000])
def test_the_envelope_does_not_depend_on_the_blocks(block):
    samples = np.random.default_rng(0).standard_normal(16_500).astype(np.float32)
    found = envelope_of((samples[start : start + block] for start in range(0, len(samples), block)), 0.01)
    rows = [samples[start : start + 160] for start in range(0, len(samples), 160)]
    np.testing.assert_array_equal(found.low, [row.min() for row in rows])
    np.testing.assert_array_equal(found.high, [row.max() for row in rows])
    assert found.stretch_s == 0.01


@pytest.fixture
def talk(tmp_path):
    path = tmp_path / "talk.wav"
    soundfile.write(path, np.random.default_rng(0).standard_normal(90 * 16_000) * 0.1, 16_000)
    return path


@pytest.mark.filterwarnings("error")  # a script that no font here has is no reason to speak
@pytest.mark.parametrize(("suffix", "signature"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_every_format_is_written_whole(talk, tmp_path, suffix, signature):
    path = tmp_path / f"talk{suffix}"
    write_plot(path, recording(90.0, segment(10.0, "复旦", label="三")), str(talk))
    assert path.read_bytes().startswith(signature)
    assert set(os.listdir(tmp_path)) == {"talk.wav", path.name}


def test_the_size_of_a_png_follows_from_its_rows(talk, tmp_path):
    write_plot(tmp_path / "talk.png", recording(90.0, segment(10.0, "fu")), str(talk))
    pixels = imread(tmp_path / "talk.png")
    assert pixels.shape == (585, 1800, 4)  # two rows of 1.5 inches and 0.9 above, 12 wide, at 150 dpi
    assert (np.abs(pixels[..., :3] - to_rgb(WAVE)).max(axis=2) < 0.01).mean() > 0.1


def test_the_text_of_an_svg_stays_text(talk, tmp_path):
    write_plot(tmp_path / "talk.svg", recording(90.0, segment(10.0, "复旦", label="三")), str(talk))
    found = {element.text for element in ElementTree.parse(tmp_path / "talk.svg").iter() if element.text}
    assert {"talk.wav", "复旦", "三 (0.90)"} <= found


@pytest.mark.parametrize("name", ["a$\\frac$b", "b\udcff", "n\nx\x01", "复旦", "<&>"])
@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_any_name_is_drawn_without_a_word_on_standard_error(tmp_path, name, suffix, capfd):
    source = os.fsencode(tmp_path / f"{name}.wav")
    with open(source, "wb") as file:
        soundfile.write(file, np.sin(np.arange(16_000)) * 0.1, 16_000, format="WAV")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_plot(tmp_path / f"out{suffix}", recording(1.0, segment(0.2, name)), os.fsdecode(source))
    assert capfd.readouterr().err == ""
    if suffix == ".svg":
        ElementTree.parse(tmp_path / "out.svg")


def test_letters_that_the_first_font_lacks_come_from_another_that_is_installed():
    has = {font.name: get_font(font.fname).get_charmap().keys() for font in fontManager.ttflist}
    letter = min(has["STIXGeneral"] - has["DejaVu Sans"])
    (first, second), lacking = fonts_for({"a", chr(letter)})
    assert first == "DejaVu Sans"
    assert letter in has[second]
    assert lacking == set()
    assert fonts_for({"a", "\U0010fffe"}) == (["DejaVu Sans"], {"\U0010fffe"})


def test_texts_are_measured_in_one_image(talk, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        backend_agg.RendererAgg, "__init__", count(backend_agg.RendererAgg.__init__, made)
    )  # one of its own for each text took gigabytes for ten minutes
    write_plot(tmp_path / "a.png", recording(90.0, *[segment(4.0 * n, "fu", "dan") for n in range(20)]), str(talk))
    assert len(made) <= 3


def count(function, calls):
    def counted(*arguments, **options):
        calls.append(arguments)
        return function(*arguments, **options)

    return counted


def test_what_fails_leaves_no_picture(talk, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(RuntimeError):
        write_plot(tmp_path / "talk.png", recording(90.0), str(talk))
    assert os.listdir(tmp_path) == ["talk.wav"]


def test_memory_is_that_of_columns_not_of_samples(talk):
    from wav2edge.audio.clip import open_recording

    with open_recording(str(talk)) as sound:
        envelope = envelope_of(sound.blocks(), 90.0 / COLUMNS)
    assert len(envelope.low) == pytest.approx(COLUMNS, abs=2)


# Refusals and the command line


def test_other_names_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"the name of a picture ends in \.png, \.svg, \.pdf"):
        check_plot(tmp_path / "talk.gif")
    with pytest.raises(UsageError, match="there is no folder"):
        check_plot(tmp_path / "missing/talk.png")


def test_without_matplotlib_the_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(picture, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'wav2edge\[plot\]'"):
        check_plot(tmp_path / "talk.png")


def test_run_draws_nothing_when_it_resumes(cli, bundle, clip, tmp_path):
    more = ("--format", "jsonl", "--output", tmp_path / "results.jsonl", "--resume")
    found = cli("run", bundle, clip, "--plot", tmp_path / "clip.png", *more)
    assert found.code == 2
    assert "which --resume may leave out; give one of them" in found.err


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_file_whose_name_is_no_text_is_drawn(cli, bundle, clip, tmp_path):
    named = os.fsdecode(os.fsencode(tmp_path) + b"/clip-\xff.wav")
    os.rename(clip, named)
    assert cli("run", bundle, named, "--plot", tmp_path / "clip.png").code == 0
    assert (tmp_path / "clip.png").read_bytes().startswith(b"\x89PNG")


def test_what_could_not_be_written_is_refused_before_anything_is_recognised(tmp_path):
    (tmp_path / "talk.png").mkdir()
    with pytest.raises(UsageError, match="no file can be written there"):
        check_plot(tmp_path / "talk.png")


def test_run_draws_what_it_answers(cli, bundle, clip, tmp_path):
    path = tmp_path / "clip.png"
    plain, found = cli("run", bundle, clip), cli("run", bundle, clip, "--plot", path)
    assert (found.code, found.out, found.err) == (plain.code, plain.out, plain.err)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("inputs", [["a.wav", "b.wav"], ["-"]])
def test_run_draws_one_file_only(cli, bundle, tmp_path, inputs):
    found = cli("run", bundle, *inputs, "--plot", tmp_path / "clip.png")
    assert found.code == 2
    assert "--plot draws one recording, which it reads twice; give one file" in found.err
    assert os.listdir(tmp_path) == []
