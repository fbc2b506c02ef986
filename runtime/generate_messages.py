"""Writes the copies of messages.json that the bindings carry: run it after a change of the table.

python runtime/generate_messages.py
"""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE / "messages.json"
JAVASCRIPT = HERE / "js" / "src" / "messages.js"
C = HERE / "c" / "wav2edge.c"
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


def javascript(table: dict[str, dict[str, str]]) -> str:
    """The module ``messages.js``."""
    entries = [
        f"  {name}: [{json.dumps(entry['error'])}, {json.dumps(entry['message'], ensure_ascii=False)}],\n"
        for name, entry in table.items()
    ]
    head = "// Written by runtime/generate_messages.py from runtime/messages.json: change that table.\n\n"
    comment = "/** Each message by its name: the class of its error, and its words with {placeholders}. */\n"
    return f"{head}{comment}export const MESSAGES = {{\n{''.join(entries)}}};\n"


def c_source(table: dict[str, dict[str, str]], source: str) -> str:
    """The C source with its table written anew.

    Raises:
        ValueError: the source lacks a marker.
    """
    before, begin, rest = source.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{C}: has no lines {BEGIN} and {END}")
    names = [f"    MESSAGE_{name.upper()},\n" for name in table]
    rows = [
        f"    [MESSAGE_{name.upper()}] = {{{CODES[entry['error']]}, {json.dumps(entry['message'])}}},\n"
        for name, entry in table.items()
    ]
    enum = f"enum message {{\n{''.join(names)}}};\n"
    array = f"static const struct {{ int code; const char *text; }} MESSAGES[] = {{\n{''.join(rows)}}};\n"
    return f"{before}{begin}\n{enum}\n{array}{end}{after}"


def main() -> None:
    """Write every copy that there is a place for."""
    table = read_table()
    JAVASCRIPT.write_text(javascript(table), encoding="utf-8")
    if C.exists():
        C.write_text(c_source(table, C.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
