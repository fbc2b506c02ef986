"""A bundle of which anything was altered is refused: its manifest by its seal, its files by their digests."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

import wav2edge
from tests.faults.conftest import MODELS
from tests.faults.fuzz.bundle_mutants import EDITS
from tests.runtime import tiny_bundle
from wav2edge import BundleError
from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.manifest import Manifest, is_sealed, sealed
from wav2edge.evaluation.verification import verify

GRAPH = "onnx/model.onnx"
ALTERED = "damaged or altered, its last line is not the SHA-256 of what is above it; copy or export it again"


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A copy of the bundle that comes with the repository."""
    return Path(shutil.copytree(MODELS / "words", tmp_path / "words"))


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(BundleError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter the manifest as a script would that knows nothing of its seal."""
    path = folder / "manifest.json"
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# The manifest


@pytest.mark.parametrize("name", [name for name in EDITS if name != "format version"])
def test_an_altered_manifest_is_refused_by_load_and_by_verify(shipped, cli, name):
    rewrite(shipped, lambda document: EDITS[name](random.Random(16), document))
    message = f"{shipped / 'manifest.json'}: {ALTERED}"
    assert refusal(lambda: wav2edge.load(shipped, threads=1)) == message
    outcome = cli("verify", shipped)
    assert (outcome.code, outcome.out, outcome.complaint) == (3, "", f"wav2edge: {message}")


def test_there_are_twelve_alterations_of_every_kind_of_entry():
    assert len(EDITS) == 12


@pytest.mark.parametrize("version", [1, 2])
def test_an_altered_version_does_not_take_the_seal_off(shipped, version):
    rewrite(shipped, lambda document: document.update(format_version=version, name="other"))
    assert refusal(lambda: Bundle.open(shipped)).endswith(ALTERED)


def test_every_flipped_bit_of_a_manifest_is_refused(bundle):
    content = (bundle / "manifest.json").read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        refusal(lambda changed=changed: Manifest.from_json(bytes(changed)))


@pytest.mark.parametrize("change", [lambda each: each.replace(b"\n", b"\r\n"), lambda each: each + b"\n", bytes.strip])
def test_white_space_is_an_alteration_too(own_bundle, change):
    path = own_bundle / "manifest.json"
    path.write_bytes(change(path.read_bytes()))
    assert refusal(lambda: Bundle.open(own_bundle)) == f"{path}: {ALTERED}"


@pytest.mark.parametrize("name", ["words", "words-stream"])
def test_the_seal_is_the_digest_of_the_bytes_above_its_line(name):
    content = (MODELS / name / "manifest.json").read_bytes()
    *above, line, _ = content.splitlines(keepends=True)
    digest = hashlib.sha256(b"".join(above)).hexdigest()
    assert line.decode() == f'  "content_sha256": "{digest}"\n'
    assert is_sealed(content)


def test_a_seal_is_made_anew_and_everything_else_stays():
    document = json.loads((MODELS / "words/manifest.json").read_bytes())
    before = document.pop("content_sha256")
    changed = json.loads(sealed({**document, "content_sha256": before, "name": "other"}))
    assert list(changed)[-1] == "content_sha256"
    assert changed.pop("content_sha256") != before
    assert changed == {**document, "name": "other"}


def test_a_bundle_of_the_first_version_answers_and_does_not_verify(own_bundle, clip, engine):
    rewrite(own_bundle, lambda document: (document.pop("content_sha256"), document.update(format_version=1)))
    assert wav2edge.load(own_bundle, threads=1)(clip) == engine(clip)
    failed = [check for check in verify(Bundle.open(own_bundle), threads=1) if not check.passed]
    assert [check.name for check in failed] == ["manifest.json"]
    assert "export the bundle again" in failed[0].detail


# Its files


def test_graphs_that_were_swapped_are_refused_by_their_names(own_bundle):
    one, other = own_bundle / GRAPH, own_bundle / "onnx/model_quantized.onnx"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    for variant, path in (("fp32", one), ("int8", other)):
        message = refusal(lambda variant=variant: wav2edge.load(own_bundle, variant=variant, threads=1))
        assert message.startswith(f"{path}: ")
        assert message.endswith("copy or export it again")


def in_another_file(graph: onnx.ModelProto, location: str) -> onnx.ModelProto:
    """The graph with its largest weight in another file."""
    weight = max(graph.graph.initializer, key=lambda each: len(each.raw_data))
    place = {"location": location, "offset": "0", "length": str(len(weight.raw_data))}
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in place.items():
        weight.external_data.add(key=key, value=value)
    return graph


def in_a_subgraph(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with a constant in another file inside of a node's attribute."""
    tensor = onnx.TensorProto(dims=[1], data_type=onnx.TensorProto.FLOAT, data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights.bin")
    graph.graph.node.append(onnx.helper.make_node("Constant", [], ["constant"], value=tensor))
    return graph


OUTSIDE = ["weights.bin", "../weights.bin", "../../../weights.bin", "/etc/hostname"]


@pytest.fixture
def with_graph(own_bundle) -> Callable[[Callable[[onnx.ModelProto], Any]], Path]:
    """A function that changes the graph of the bundle and lists it again, as who makes bundles by hand may."""

    def change(edit: Callable[[onnx.ModelProto], Any]) -> Path:
        model = onnx.load(own_bundle / GRAPH)
        edit(model)
        path = own_bundle / GRAPH
        path.write_bytes(model.SerializeToString())
        document = json.loads((own_bundle / "manifest.json").read_bytes())
        document["files"][GRAPH] = vars(tiny_bundle.record(path))
        (own_bundle / "manifest.json").write_text(sealed(document))
        return own_bundle

    return change


@pytest.mark.parametrize("location", OUTSIDE)
def test_a_graph_with_weights_in_a_file_that_no_digest_covers_is_refused(with_graph, location):
    folder = with_graph(lambda model: in_another_file(model, location))
    (folder / "onnx/weights.bin").write_bytes(bytes(1_000))
    message = refusal(lambda: wav2edge.load(folder, threads=1))
    assert message == (
        f"{folder / GRAPH}: keeps weights in other files, which no digest covers; export the bundle again"
    )


def test_so_is_one_whose_constant_inside_of_a_node_is_there(with_graph):
    folder = with_graph(in_a_subgraph)
    (folder / "onnx/weights.bin").write_bytes(bytes(4))
    assert "keeps weights in other files" in refusal(lambda: wav2edge.load(folder, threads=1))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda model: setattr(model, "ir_version", 99), "99"),
        (lambda model: setattr(model.opset_import[0], "version", 99), "opset"),
        (lambda model: setattr(model.graph.node[0], "domain", "com.other"), "com.other"),
    ],
    ids=["a newer IR", "a newer opset", "an operator of somebody else's"],
)
def test_a_graph_that_this_onnx_runtime_does_not_know_is_refused_with_its_version(with_graph, edit, reason):
    import onnxruntime

    folder = with_graph(edit)
    message = refusal(lambda: wav2edge.load(folder, threads=1))
    assert message.startswith(f"{folder / GRAPH}: ONNX Runtime {onnxruntime.__version__} cannot load it: ")
    assert re.search(reason, message, re.IGNORECASE)


def test_a_bundle_whose_files_change_after_the_load_answers_as_before(shipped, spoken):
    engine = wav2edge.load(shipped, threads=1)
    expected = engine(spoken[0])
    for path in sorted(each for each in shipped.rglob("*") if each.is_file()):
        path.write_bytes(b"")  # in place: what the engine has open becomes shorter
    assert engine(spoken[0]) == expected
    shutil.rmtree(shipped)
    assert engine(spoken[0]) == expected
