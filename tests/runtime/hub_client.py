"""Runs what it is asked for, line by line: command lines, and Python that leaves its answer in ``answer``.

``huggingface_hub`` reads its environment once, when it is imported; so each environment has such an interpreter.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any

from wav2edge.cli import main
from wav2edge.errors import Wav2EdgeError


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    out, err, names = io.StringIO(), io.StringIO(), {"answer": None}
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(request["words"]) if "words" in request else exec(request["python"], names) or 0
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        except Wav2EdgeError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            code = error.exit_code
    return {"code": code, "out": out.getvalue(), "err": err.getvalue(), "answer": names["answer"]}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer_to(json.loads(line))), flush=True)
