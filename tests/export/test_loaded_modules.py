"""An export imports what it needs and no more: modules are counted, so that a new import is a decision."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

MOST_MODULES = 64
SCRIPT = """
import json, sys
from wav2edge.cli import main
code = main(["export", *sys.argv[1:]])
modules = {name: module for name, module in sys.modules.items() if name.startswith("wav2edge")}
names = [name for name, module in modules.items() if not hasattr(module, "__path__")]
print(json.dumps([code, sorted(names)]))
"""
NEVER = ("wav2edge.evaluation.dataset", "wav2edge.evaluation.report", "wav2edge_train.training")


def test_the_export_of_one_precision_loads_few_modules_of_the_project(checkpoints, tmp_path):
    words = [str(checkpoints("joint")), "--output", str(tmp_path / "bundle")]
    found = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True)
    code, names = json.loads(found.stdout.splitlines()[-1])
    assert code == 0
    assert [name for name in names if name.startswith((*NEVER, "wav2edge_export.mixed_precision"))] == []
    assert len(names) <= MOST_MODULES, "\n".join(names)
