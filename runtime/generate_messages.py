"""Writes the copies of messages.json that the bindings carry: run it after a change of the table.

python runtime/generate_messages.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE / "messages.json"
SCRIPTS = HERE / "js" / "src"
JAVASCRIPT = {
    SCRIPTS / "refusal_messages.js": re.compile(r"import .* from \"[./]*refusals\.js\"|fail = failure"),
    SCRIPTS / "failure_messages.js": re.compile(r"import .* from \"[./]*errors\.js\"|reader\.(fail|need)"),
}
"""The copies for JavaScript, and what the modules have in them that raise their messages.

The words of a `refusal` are loaded with the module that it comes from, those of a `failure` when the first of them is
told.
"""
C = HERE / "c" / "wav2edge.c"
COMMON_END = "; export the bundle again"
"""What many messages end with: in C a line break, which `expand` writes as these words."""
BEGIN, END = "/* messages.json: begin */", "/* messages.json: end */"
"""What the copy in C stands between."""
CODES = {
    "Warning": 0,
    "AudioError": 1,
    "DataError": 1,
    "UsageError": 2,
    "BundleError": 3,
    "DeviceError": 3,
}
"""The exit code of a command that an error ends, as in wav2edge/errors.py; a warning ends nothing."""


def read_table() -> dict[str, dict[str, str]]:
    """Each message by its name: the class of its error, and its words with {placeholders}."""
    table: dict[str, dict[str, str]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def names_in_javascript(modules: re.Pattern[str]) -> set[str]:
    """Every text in quotes of these modules for JavaScript, the names of the messages that they raise among them."""
    sources = [path.read_text(encoding="utf-8") for path in SCRIPTS.glob("**/*.js") if path not in JAVASCRIPT]
    return {name for source in sources if modules.search(source) for name in re.findall(r'"(\w+)"', source)}


def javascript(table: dict[str, dict[str, str]], copy: Path) -> str:
    """A copy for JavaScript, with the messages of its modules."""
    names = names_in_javascript(JAVASCRIPT[copy])
    own = {name: entry for name, entry in table.items() if name in names}
    classes = dict.fromkeys(entry["error"] for entry in own.values())
    entries = [f"  {error}: {{\n{messages_of(error, own)}  }},\n" for error in classes]
    head = "// Written by runtime/generate_messages.py from runtime/messages.json: change that table.\n\n"
    comment = "/** By the class of an error its messages, by their names, with {placeholders}. */\n"
    return f"{head}{comment}export const MESSAGES = {{\n{''.join(entries)}}};\n"


def messages_of(error: str, table: dict[str, dict[str, str]]) -> str:
    """The messages of a class of errors, a line each."""
    return "".join(
        f"    {name}: {json.dumps(entry['message'], ensure_ascii=False)},\n"
        for name, entry in table.items()
        if entry["error"] == error
    )


def c_source(table: dict[str, dict[str, str]], source: str) -> str:
    """The C source with its table written anew: the messages that it raises.

    Raises:
        ValueError: the source lacks a marker.
    """
    before, begin, rest = source.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{C}: has no lines {BEGIN} and {END}")
    raised = set(re.findall(r"\bMESSAGE_(\w+)", after))
    rows = [
        f"    MESSAGE({name.upper()}, {CODES[entry['error']]}, {c_text(entry['message'])})"
        for name, entry in table.items()
        if name.upper() in raised
    ]
    lines = " \\\n".join(["#define MESSAGES(MESSAGE)", *rows])
    return f"{before}{begin}\n{lines}\n{end}{after}"


def c_text(message: str) -> str:
    """A message as the literal of the table in C."""
    begin = message.removesuffix(COMMON_END)
    return json.dumps(begin if begin == message else f"{begin}\n")


def main() -> None:
    """Write every copy that there is a place for."""
    table = read_table()
    for copy in JAVASCRIPT:
        copy.write_text(javascript(table, copy), encoding="utf-8")
    if C.exists():
        C.write_text(c_source(table, C.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
