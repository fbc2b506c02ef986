from __future__ import annotations

import pytest

from wav2edge.evaluation.text_normalization import TextNormalization


@pytest.mark.parametrize(
    ("options", "text", "normalized"),
    [
        ({}, "  Bei  Jing. ", "Bei Jing."),
        ({"lowercase": True}, "Bei Jing.", "bei jing."),
        ({"strip_punctuation": True}, "Bei, Jing.", "Bei Jing"),
        ({"lowercase": True, "strip_punctuation": True}, "«Don't!» — said he", "don't said he"),
        ({"strip_punctuation": True}, "'quoted' rock 'n' roll", "quoted rock n roll"),
        ({"strip_punctuation": True}, "北京。上海", "北京 上海"),
        ({}, "e\u0301te\u0301", "\u00e9t\u00e9"),
    ],
)
def test_transcripts_are_normalised_as_the_options_say(options, text, normalized):
    assert TextNormalization(**options)(text) == normalized


def test_the_report_can_say_what_was_done():
    assert TextNormalization().summary == ""
    assert TextNormalization(lowercase=True, strip_punctuation=True).summary == "lowercased, punctuation removed"
