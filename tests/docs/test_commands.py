"""Every command of the pages runs as it is printed, or says above itself why it does not; all are parsed at least."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.docs.pages import Block, blocks, blocks_in, pages
from wav2edge.cli.main import build_parser
from wav2edge.cli.verbs import VERBS, load_command

pytestmark = pytest.mark.slow  # runs the commands of the pages

LIMIT_S = 120
SHELL = shutil.which("bash")
REACHES_OUT = re.compile(r"\b(pip|npm|make|git|curl|wget)\b|--shape\b")
"""Commands that install, download or run for long: a block with one of them is never run."""
UNMARKED = [block for block in blocks_in("bash") if block.reason is None]
COMMANDS = [block for block in UNMARKED if not REACHES_OUT.search(block.body)]
SNIPPETS = [block for block in blocks_in("python") if block.reason is None and "reference/" not in block.where]
OUTPUTS_AND_FILES = {"text", "json", "csv"}
"""Languages of blocks that show what is printed, or what stands in a file."""
MODULE = re.compile(r"(?:python|torchrun\b.*?) -m wav2edge ")


def where(block: Block) -> str:
    return block.where


@pytest.fixture(scope="module")
def parser():
    return build_parser(load_command(name) for name in VERBS)


def command_lines(block: Block) -> list[list[str]]:
    """The arguments of each `wav2edge` in a block, without what a shell does with its output."""
    text = block.body.replace("\\\n", " ")
    found = []
    for line in re.split(r"\n|\||&&|;", MODULE.sub("wav2edge ", text)):
        words = shlex.split(re.sub(r"[0-9&]*>.*", "", line), comments=True)
        if words[:1] == ["wav2edge"]:
            found.append(words[1:])
    return found


@pytest.mark.parametrize("block", [block for block in blocks_in("bash") if command_lines(block)], ids=where)
def test_every_verb_option_and_choice_on_a_page_exists(block, parser, capsys):
    for words in command_lines(block):
        assert exit_code(parser, words) == 0, f"wav2edge {shlex.join(words)}: {capsys.readouterr().err}"


def test_a_block_that_reaches_out_of_the_folder_says_that_it_is_not_run():
    assert [block.where for block in UNMARKED if REACHES_OUT.search(block.body)] == []


def test_a_block_is_run_or_says_why_not_or_is_no_command():
    others = [block for page in pages() for block in blocks(page) if block.language not in ("bash", "python")]
    assert [block.where for block in others if block.reason is None and block.language not in OUTPUTS_AND_FILES] == []


def exit_code(parser, words):
    """What the parser ends with; 0 where it takes the words."""
    try:
        parser.parse_args(words)
    except SystemExit as stopped:
        return stopped.code
    return 0


@pytest.mark.slow
@pytest.mark.skipif(SHELL is None, reason="there is no bash to run them in")
@pytest.mark.parametrize("block", COMMANDS, ids=where)
def test_every_command_on_a_page_runs_as_printed(block, clone, environment):
    done = run(SHELL, "-euo", "pipefail", "-c", block.body, folder=clone, environment=environment)
    assert done.returncode == 0, f"{block.where}: {done.stderr}"
    if block.printed is not None and block.printed.language == "text":
        assert done.stdout == block.printed.body
    if block.printed is not None and block.printed.language == "json":
        assert approximate(json.loads(done.stdout)) == approximate(json.loads(block.printed.body))


@pytest.mark.slow
@pytest.mark.parametrize("block", SNIPPETS, ids=where)
def test_every_snippet_on_a_page_runs_as_printed(block, clone, environment):
    done = run(sys.executable, "-c", block.body, folder=clone, environment=environment)
    assert done.returncode == 0, f"{block.where}: {done.stderr}"
    if block.printed is not None and block.printed.language == "text":
        assert done.stdout == block.printed.body


def test_there_are_commands_that_run():
    assert len(COMMANDS) >= 10
    assert len(SNIPPETS) >= 3


def run(*words, folder, environment):
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=LIMIT_S,
    )


def approximate(value):
    """The same JSON with probabilities and times to two digits: the last ones differ between processors."""
    if isinstance(value, dict):
        return {name: approximate(each) for name, each in value.items()}
    if isinstance(value, list):
        return [approximate(each) for each in value]
    return round(value, 1) if isinstance(value, float) else value
