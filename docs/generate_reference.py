"""Writes the two reference pages: the command line from its parsers, the Python API from its docstrings.

``make docs`` runs it: ``python docs/generate_reference.py``.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import html
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import wav2edge
import wav2edge.ray
from wav2edge.cli.main import build_parser
from wav2edge.cli.verbs import EXIT_CODES, VERBS, Command, load_command

FOLDER = Path(__file__).parent / "reference"
ERRORS_INTRODUCTION = (
    "All derive from `Wav2EdgeError`, and each is also the builtin error in brackets. `exit_code` is what the command "
    "line returns."
)
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")
ENTRY = re.compile(r"^(?P<names>[\w*]+(?:, [\w*]+)*): (?P<text>.*)$")
CODE = re.compile(r"``(.+?)``")
STARS = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
"""Kind of an argument -> what stands in front of its name."""


# The command line


def cli_page() -> str:
    """``docs/reference/cli.md``: each verb with its arguments, options and examples."""
    commands = [load_command(name) for name in VERBS]
    parser = build_parser(commands)
    (verbs,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    lines = [
        "# Command line",
        "",
        "<!-- Written by docs/generate_reference.py from the parsers; do not edit. -->",
        "",
        "| verb | what it does |",
        "| --- | --- |",
        *(f"| [`{command.name}`](#{command.name}) | {_escaped(command.summary)} |" for command in commands),
        "",
        "Results go to standard output; progress, warnings and errors to standard error. `--debug` shows the traceback "
        "of an error.",
        "",
        f"Exit codes, where a verb does not say otherwise: {_listed(EXIT_CODES)}.",
    ]
    for command in commands:
        lines += ["", *_verb(command, verbs.choices[command.name])]
    return "\n".join(lines) + "\n"


def _verb(command: Command, parser: argparse.ArgumentParser) -> Iterator[str]:
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS and action.dest != "help"]
    places = [_place(action) for action in shown if not action.option_strings]
    required = [f"{_flags(action)}" for action in shown if action.option_strings and action.required]
    yield f"## {command.name}"
    yield ""
    yield f"{command.summary[0].upper()}{_escaped(command.summary[1:])}."
    yield ""
    yield "```text"
    yield " ".join(["wav2edge", command.name, *places, *required, "[options]"])
    yield "```"
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action in shown]
        if actions:
            yield from ("", f"**{_group_title(group.title or '')}**")
        for action in actions:
            expanded = " ".join(argparse.HelpFormatter(command.name)._expand_help(action).split())
            yield from ("", f"`{_flags(action) or _place(action)}`", f":   {_escaped(expanded)}")
    if meanings := VERBS[command.name].meanings:
        yield from ("", f"Exit codes: {_listed(meanings)}.")
    if command.examples:
        yield from ("", "**Examples**", "", "<!-- not run: the help's own examples, only parsed -->", "```bash")
        yield from (line.strip() for line in command.examples.splitlines())
        yield "```"


def _listed(exit_codes: Mapping[int, str]) -> str:
    return ", ".join(f"{code} {meaning}" for code, meaning in exit_codes.items())


def _group_title(title: str) -> str:
    title = {"positional arguments": "arguments"}.get(title, title)
    return title[0].upper() + title[1:]


def _place(action: argparse.Action) -> str:
    name = action.metavar if isinstance(action.metavar, str) else action.dest
    return {"+": f"{name}...", "*": f"[{name}...]", "?": f"[{name}]"}.get(str(action.nargs), name)


def _flags(action: argparse.Action) -> str:
    """The spellings of an option with its value: ``--device {cpu,cuda}``; empty for an argument by place."""
    if not action.option_strings:
        return ""
    value = "" if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction) else _value(action)
    return " ".join(filter(None, [", ".join(action.option_strings), value]))


def _value(action: argparse.Action) -> str:
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


def _escaped(text: str) -> str:
    """Help text as Markdown: its backticks stay, what Markdown would read as markup does not."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"([*_<\[\]|])", r"\\\1", piece) for piece in pieces)


# The Python API


def api_page() -> str:
    """``docs/reference/api.md``: every public name of the facade, in the order a reader meets it."""
    exported = {name: getattr(wav2edge, name) for name in wav2edge.__all__ if not name.startswith("_")}
    errors = [each for each in exported.values() if inspect.isclass(each) and issubclass(each, Exception)]
    functions = {name: each for name, each in exported.items() if inspect.isfunction(each)}
    functions |= {f"ray.{name}": getattr(wav2edge.ray, name) for name in wav2edge.ray.__all__}
    classes = [each for each in exported.values() if inspect.isclass(each) and each not in errors]
    lines = [
        "# Python",
        "",
        "<!-- Written by docs/generate_reference.py from the docstrings; do not edit. -->",
        "",
        "Everything that `import wav2edge` gives, and `import wav2edge.ray`.",
    ]
    for name, function in functions.items():
        lines += ["", f"## `wav2edge.{name}`", "", *_callable(function, f"wav2edge.{name}")]
    for each in classes:
        lines += ["", *_class(each)]
    lines += ["", "## Errors", "", ERRORS_INTRODUCTION, "", *_error_table(errors)]
    return "\n".join(lines) + "\n"


def _class(each: type) -> Iterator[str]:
    yield f"## `wav2edge.{each.__name__}`"
    yield ""
    yield from _docstring(each)
    yield from _class_attributes(each)
    if dataclasses.is_dataclass(each):
        yield from ("", "| field | type | default |", "| --- | --- | --- |")
        for field in dataclasses.fields(each):
            if not field.name.startswith("_"):
                yield f"| `{field.name}` | {_cell(_type(field.type))} | {_default(field)} |"
    for name, member in _public_members(each):
        title = f"{each.__name__}.{name}"
        heading = f"### `{title}` {{ #{re.sub('[^a-z]+', '-', title.lower()).strip('-')} }}"
        if isinstance(member, property):
            yield from ("", heading, "", "*Property*", "", *_docstring(member))
        else:
            function = member.__func__ if isinstance(member, classmethod) else member
            yield from ("", heading, "", *_callable(function, _called_as(each, name)))


def _cell(code: str) -> str:
    """Code in a cell of a table. A bar ends the cell: GitHub wants it escaped, and MkDocs shows the backslash then."""
    return f"<code>{html.escape(code).replace('|', '&#124;')}</code>" if "|" in code else f"`{code}`"


def _class_attributes(each: type) -> Iterator[str]:
    """Public attributes whose defaults stand in the class, each with a string behind it that says what it is."""
    found: dict[str, str] = {}
    for owner in reversed(each.__mro__):
        if owner.__module__.startswith("wav2edge"):
            (parsed,) = ast.parse(inspect.getsource(owner)).body
            for pair in pairwise(getattr(parsed, "body", ())):
                match pair:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                        found[name] = " ".join(text.split())
    public = {name: text for name, text in found.items() if not name.startswith("_")}
    if public and "\nAttributes:\n" not in (inspect.getdoc(each) or ""):
        yield "**Attributes**"
    for name, text in public.items():  # in lower case, as in docstrings
        yield from _section_line(f"    {name}: {text[0].lower()}{text[1:]}")
    if public:
        yield ""


def _called_as(each: type, name: str) -> str:
    if isinstance(inspect.getattr_static(each, name), classmethod):
        return f"{each.__name__}.{name}"
    return each.__name__.lower() if name == "__call__" else f"{each.__name__.lower()}.{name}"


def _public_members(each: type) -> Iterator[tuple[str, Any]]:
    """Methods and properties with a docstring, those of this project's base classes included, the call first."""
    found: dict[str, Any] = {}
    for owner in reversed(each.__mro__):
        if owner.__module__.startswith("wav2edge"):
            found |= {name: member for name, member in vars(owner).items() if _is_shown(name, member)}
    yield from sorted(found.items(), key=lambda item: item[0] != "__call__")


def _is_shown(name: str, member: Any) -> bool:
    if name != "__call__" and name.startswith("_"):
        return False
    is_member = inspect.isfunction(member) or isinstance(member, property | classmethod)
    return is_member and bool(inspect.getdoc(member))


def _callable(function: Callable[..., Any], name: str) -> Iterator[str]:
    yield "```python"
    yield from _signature(function, name)
    yield "```"
    yield ""
    yield from _docstring(function)


def _signature(function: Callable[..., Any], name: str) -> list[str]:
    """One line where it fits, else one argument a line."""
    signature = inspect.signature(function)
    parameters = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
    words: list[str] = []
    for place, each in enumerate(parameters):
        before = parameters[place - 1].kind if place else None
        if each.kind is each.KEYWORD_ONLY and before is not each.KEYWORD_ONLY:
            words.append("*")
        default = "" if each.default is each.empty else f" = {each.default!r}"
        words.append(f"{STARS.get(each.kind.name, '')}{each.name}: {_type(each.annotation)}{default}")
    returned = f" -> {_type(signature.return_annotation)}"
    line = f"{name}({', '.join(words)}){returned}"
    return [line] if len(line) <= 88 else [f"{name}(", *(f"    {word}," for word in words), f"){returned}"]


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()!r}`"
    return "required" if field.default is dataclasses.MISSING else f"`{field.default!r}`"


def _docstring(documented: object) -> Iterator[str]:
    """A Google-style docstring as Markdown: prose as it stands, sections as definition lists."""
    section = ""
    example: list[str] = []
    for line in [*(inspect.getdoc(documented) or "").splitlines(), ""]:
        if line.startswith((">>> ", "... ")):
            example.append(line[4:])
            continue
        if example:
            yield from ("```python", *example, "```")
            example = []
        if heading := SECTION.match(line.strip()):
            section = heading[1]
            yield from ({"Args": "**Arguments**"}.get(section, f"**{section}**"),)
        elif section and line.strip():
            yield from _section_line(line)
        else:
            yield CODE.sub(r"`\1`", line)


def _section_line(line: str) -> Iterable[str]:
    text = CODE.sub(r"`\1`", line.strip())
    entry = ENTRY.match(text) if line.startswith("    ") and not line.startswith("     ") else None
    if entry is None:
        return (f"    {text}",)
    names = ", ".join(f"`{name}`" for name in entry["names"].split(", "))
    return ("", names, f":   {entry['text']}")


def _error_table(errors: list[type]) -> Iterator[str]:
    yield from ("| error | `exit_code` | when |", "| --- | --- | --- |")
    for each in sorted(errors, key=lambda error: (error is not wav2edge.Wav2EdgeError, error.__name__)):
        builtin = [base.__name__ for base in each.__bases__ if base.__module__ == "builtins"]
        summary = CODE.sub(r"`\1`", (inspect.getdoc(each) or "").splitlines()[0])
        code: int = each.exit_code  # type: ignore[attr-defined]
        yield f"| `{each.__name__}` ({', '.join(builtin)}) | {code} | {summary} |"


PAGES: dict[str, Callable[[], str]] = {"cli.md": cli_page, "api.md": api_page}
"""File in ``docs/reference`` -> what makes it."""


def main() -> None:
    """Write both pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
