"""Checkpoints and bundles that the tests of the export share."""

from types import ModuleType

import pytest
import torch

from tests.export.tiny_checkpoints import save_checkpoint
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.exporting import export_bundle


@pytest.fixture
def one_thread():
    """Tensors this small wait for a second thread longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """A function from a kind to its checkpoint, made once."""
    made = {}

    def checkpoint(kind):
        if kind not in made:
            made[kind] = save_checkpoint(tmp_path_factory.mktemp("checkpoints") / kind.replace(" ", "-"), kind)
        return made[kind]

    return checkpoint


@pytest.fixture(scope="session")
def bundles(checkpoints, tmp_path_factory):
    """A function from a kind to its exported bundle, int8 and fp32, made once."""
    made = {}

    def bundle(kind):
        if kind not in made:
            output = tmp_path_factory.mktemp("bundles") / kind.replace(" ", "-")
            options = ExportOptions(checkpoint=str(checkpoints(kind)), output=output, precisions=("int8", "fp32"))
            made[kind] = export_bundle(options).bundle
        return made[kind]

    return bundle


@pytest.fixture(scope="session")
def espeakng_loader() -> ModuleType:
    """espeak-ng's library; a test that speaks is skipped without it."""
    return pytest.importorskip("espeakng_loader", reason="the demo extra is not installed (espeakng-loader)")
