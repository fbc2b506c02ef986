"""Which option of the command line an error is about that names an argument of Python."""

from __future__ import annotations

import re
from collections.abc import Sequence

OTHER_NAMES = {
    "width": "beam",
    "longest_s": "longest-segment",
    "longest_clip_s": "longest-clip",
    "silence_s": "silence",
}
"""Argument -> option, where the option is not called as the argument is."""
ARGUMENT = re.compile(r"(?:the weight of ')?([a-z_]+)'? (?=is )")
"""How an error of a value begins."""


def with_option_names(message: str, words: Sequence[str]) -> str:
    """A message with the option in place of the argument, if the command line has that option.

    >>> with_option_names("width is 0; it must be at least 1", ["run", "--beam", "0"])
    '--beam is 0; it must be at least 1'

    Args:
        message: of a UsageError.
        words: of the command line; an option may be cut short.
    """
    found = ARGUMENT.match(message)
    if found is None:
        return message
    name = found[1]
    option = f"--{OTHER_NAMES.get(name, name.replace('_', '-'))}"
    given = (word.partition("=")[0] for word in words if word.startswith("--") and word != "--")
    return f"{option} {message[found.end() :]}" if any(map(option.startswith, given)) else message
