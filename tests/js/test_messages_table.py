"""The table of messages: its copies are up to date, and its words are those that the Python package says.

Whether an error is raised for the same reason as in Python, with every value in its place, is for the tests of the
bindings to say, which run both.
"""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import wav2edge.errors

RUNTIME = Path(__file__).parents[2] / "runtime"
GENERATOR = runpy.run_path(str(RUNTIME / "generate_messages.py"))
TABLE = GENERATOR["read_table"]()
SCRIPTS = [path for path in (RUNTIME / "js").glob("src/**/*.js") if path not in GENERATOR["JAVASCRIPT"]]
"""The modules of the package for JavaScript, but for the copies of the table."""
FROM_NAMES = {"graph_inputs_batched"}
"""Of which Python has the names and no text; the tests of the bindings compare these words."""
RUN = 3
"""Words in a row that must stand in a text of Python as they do in a message."""


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def texts(source: Path) -> Iterator[str]:
    """The texts of a module, with a placeholder where a value is written into them."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def runs(text: str) -> set[tuple[str, ...]]:
    """All runs of words of a text between its placeholders, figures and stops."""
    found = set()
    for part in re.split(r"'?\{\w*\}'?|\d+|[;:,()]", text):
        words = re.findall(r"[\w'`.-]*\w[\w'`-]*", part)
        found |= {tuple(words[place : place + RUN]) for place in range(len(words) - RUN + 1)}
    return found


def test_messages_have_the_words_of_python():
    known = set().union(*(runs(text) for source in RUNTIME.glob("wav2edge/**/*.py") for text in texts(source)))
    ours = {name: entry["message"] for name, entry in TABLE.items() if not entry.get("bindings_only")}
    ours = {name: text for name, text in ours.items() if name not in FROM_NAMES}
    # Where Python puts a message together from two texts, the runs across the joint stand in neither.
    odd = {name: missing for name, text in ours.items() if len(missing := runs(text) - known) > RUN - 1}
    assert odd == {}
    assert sum(map(len, map(runs, ours.values()))) > 300


def test_errors_have_the_exit_codes_of_python():
    for entry in TABLE.values():
        kind, code = entry["error"], GENERATOR["CODES"][entry["error"]]
        assert code == (0 if kind == "Warning" else getattr(wav2edge.errors, kind).exit_code)


def test_each_message_is_one_line():
    assert not [name for name, entry in TABLE.items() if "\n" in entry["message"]]


def test_the_copies_for_javascript_are_up_to_date():
    for copy in GENERATOR["JAVASCRIPT"]:
        assert copy.read_text(encoding="utf-8") == GENERATOR["javascript"](TABLE, copy)


def test_each_copy_for_javascript_has_the_messages_that_its_modules_raise():
    raised = {
        "refusal": r'\brefusal\(\s*"(\w+)"',
        "failure": r'(?:\bfailure|\.fail|\.need)\(\s*"(\w+)"|\["(warning_\w+)"',
    }
    for kind, pattern in raised.items():
        copy = next(path for path in GENERATOR["JAVASCRIPT"] if path.name == f"{kind}_messages.js")
        found = {match[match.lastindex] for script in SCRIPTS for match in re.finditer(pattern, read(script))}
        assert len(found) > 10
        assert found <= set(re.findall(r"^    (\w+):", read(copy), re.MULTILINE))


def test_the_copy_for_c_is_up_to_date():
    source = GENERATOR["C"].read_text(encoding="utf-8")
    assert source == GENERATOR["c_source"](TABLE, source)


def test_every_message_is_raised_by_a_binding_and_every_binding_raises_messages_of_the_table():
    code = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    assert set(re.findall(r'(?:failure|refusal|words|fail|need)\(\s*"(\w+)"', code)) <= set(TABLE)
    in_c = GENERATOR["C"].read_text(encoding="utf-8").partition(GENERATOR["END"])[2]
    used = set(re.findall(r'"(\w+)"', code)) | {name.lower() for name in re.findall(r"MESSAGE_(\w+)", in_c)}
    assert set(TABLE) - used == set()
