"""The samples for phones: what can be checked without an Android SDK and without Xcode is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import soundfile
import yaml

import wav2edge
from tests.mobile.conftest import ANDROID, HERE, IOS, LIMIT_S, MAIN, ROOT

RESOURCES = Path("/usr/share/android-framework-res/framework-res.apk")
"""Android's own resources, as Debian packs them."""
JNI_TYPES = {
    "Long": "jlong",
    "Int": "jint",
    "Double": "jdouble",
    "String": "jstring",
    "ByteArray": "jbyteArray",
    "ShortArray": "jshortArray",
    "Array<Event>": "jobjectArray",
    "Answer": "jobject",
    "SelfTest": "jobject",
}
RATE_HZ = 16_000
BLOCK = 800
HEARD_S = 8
"""Of the recording; less than ``Listening`` lets wait."""


def kotlin_functions() -> dict[str, tuple[str, list[str]]]:
    """Of ``Native``: the type that JNI has for the result, and for each argument."""
    source = (MAIN / "kotlin/wav2edge/Native.kt").read_text(encoding="utf-8")
    found = {}
    for name, arguments, result in re.findall(r"external fun (\w+)\((.*?)\)(?:: (\S+))?", source):
        types = [part.split(": ")[1].removesuffix("?") for part in arguments.split(", ") if part]
        found[name] = (JNI_TYPES[result] if result else "void", [JNI_TYPES[each] for each in types])
    return found


def cpp_functions() -> dict[str, tuple[str, list[str]]]:
    """The same of ``wav2edge_jni.cpp``."""
    source = (MAIN / "cpp/wav2edge_jni.cpp").read_text(encoding="utf-8")
    found = {}
    pattern = r"JNIEXPORT (\w+) JNICALL\s+Java_wav2edge_Native_(\w+)\(([^)]*)\)"
    for result, name, arguments in re.findall(pattern, source):
        types = [part.split()[0] for part in arguments.split(",")]
        assert types[:2] == ["JNIEnv", "jclass"]
        found[name] = (result, types[2:])
    return found


def test_every_function_that_kotlin_declares_is_in_the_jni_library_with_the_same_types():
    assert len(kotlin_functions()) == 10
    assert cpp_functions() == kotlin_functions()


@pytest.mark.slow
def test_the_jni_library_exports_these_functions_and_no_others(jni_folder):
    if shutil.which("nm") is None:
        pytest.skip("nm is absent, which lists the functions of a library")
    (library,) = jni_folder.glob("libwav2edge_jni.*")
    listed = subprocess.run(["nm", "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True)
    functions = [line.split()[2] for line in listed.stdout.splitlines() if line.split()[1] == "T"]
    assert sorted(functions) == sorted(f"Java_wav2edge_Native_{name}" for name in kotlin_functions())


@pytest.mark.parametrize("path", sorted(MAIN.rglob("*.xml")), ids=lambda path: path.name)
def test_xml_is_well_formed(path):
    assert ET.parse(path).getroot() is not None


def test_the_android_sample_takes_the_version_of_onnx_runtime_that_the_tests_run_and_a_bundle_that_is_there():
    lines = (ANDROID / "gradle.properties").read_text(encoding="utf-8").splitlines()
    properties = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    pinned = re.search(r"^onnxruntime==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert properties["wav2edge.onnxruntime"] == pinned[1]
    assert (ANDROID / properties["wav2edge.bundle"] / "manifest.json").is_file()


def resource_ids() -> dict[str, set[str]]:
    """Names of the sample's layouts, views and strings."""
    layouts = list((MAIN / "res/layout").glob("*.xml"))
    marker = "{http://schemas.android.com/apk/res/android}id"
    views = {
        view.attrib[marker].removeprefix("@+id/")
        for layout in layouts
        for view in ET.parse(layout).iter()
        if marker in view.attrib
    }
    strings = {each.attrib["name"] for each in ET.parse(MAIN / "res/values/strings.xml").iter("string")}
    return {"layout": {layout.stem for layout in layouts}, "id": views, "string": strings}


@pytest.fixture(scope="module")
def classes(kotlin, java_home, tmp_path_factory) -> Path:
    """The Android sample, and a program that uses all of it but its window and its microphone."""
    folder = tmp_path_factory.mktemp("kotlin")
    inner = "".join(
        f"public static final class {kind} {{ "
        + "".join(f"public static final int {name} = {number}; " for number, name in enumerate(sorted(names)))
        + "}\n"
        for kind, names in resource_ids().items()
    )
    generated = folder / "R.java"
    generated.write_text(f"package wav2edge.sample;\n\npublic final class R {{\n{inner}}}\n", encoding="utf-8")
    java = [*sorted((HERE / "android_api").rglob("*.java")), generated]
    javac = [str(java_home / "bin/javac"), "-d", str(folder / "android"), *map(str, java)]
    subprocess.run(javac, check=True, timeout=LIMIT_S)
    sources = [*sorted((MAIN / "kotlin").rglob("*.kt")), HERE / "desktop/Desktop.kt"]
    kotlin(sources, folder / "classes", [folder / "android"])
    return folder / "classes"


@pytest.mark.slow
def test_the_android_sample_compiles_against_the_part_of_androids_api_that_it_uses(classes):
    assert (classes / "wav2edge/sample/MainActivity.class").is_file()


def test_the_manifest_and_the_resources_are_packed_by_androids_own_tool(tmp_path):
    if shutil.which("aapt") is None or not RESOURCES.is_file():
        pytest.skip("aapt or Android's resources are absent; run: apt install aapt android-framework-res")
    text = (MAIN / "AndroidManifest.xml").read_text(encoding="utf-8")
    manifest = tmp_path / "AndroidManifest.xml"  # Gradle puts the package in
    manifest.write_text(text.replace("<manifest ", '<manifest package="wav2edge.sample" '), encoding="utf-8")
    packed = tmp_path / "sample.apk"
    command = ["aapt", "package", "-M", str(manifest), "-S", str(MAIN / "res"), "-I", str(RESOURCES), "-F", str(packed)]
    subprocess.run(command, check=True, timeout=LIMIT_S)
    listed = subprocess.run(["aapt", "dump", "badging", str(packed)], capture_output=True, text=True, check=True)
    assert "launchable-activity: name='wav2edge.sample.MainActivity'" in listed.stdout
    assert "uses-permission: name='android.permission.RECORD_AUDIO'" in listed.stdout


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> tuple[Path, Path]:
    """A clip, and the beginning of a recording: 16-bit samples without a header."""
    folder = tmp_path_factory.mktemp("sounds")
    found = []
    for name, seconds in (("clips/bei-jing-2.flac", None), ("stream.flac", HEARD_S)):
        samples, rate_hz = soundfile.read(ROOT / "models" / name, dtype="int16")
        assert rate_hz == RATE_HZ
        found.append(folder / f"{len(found)}.s16")
        found[-1].write_bytes(samples[: seconds and seconds * RATE_HZ].tobytes())
    return tuple(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["words", "words-stream"])
def test_kotlin_and_the_jni_library_answer_as_python_does(
    name, classes, jni_folder, kotlin_jars, java_home, onnxruntime_library, sounds
):
    bundle = ROOT / "models" / name
    jars = f"{classes}:{kotlin_jars / 'kotlin-stdlib.jar'}"
    command = [str(java_home / "bin/java"), "-Xcheck:jni", f"-Djava.library.path={jni_folder}"]
    command += ["-Dstdout.encoding=UTF-8", "-cp", jars, "wav2edge.desktop.DesktopKt", str(bundle), *map(str, sounds)]
    environment = os.environ | {"WAV2EDGE_ORT": str(onnxruntime_library)}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr  # of -Xcheck:jni
    said: dict[str, list[list[str]]] = {}
    for line in done.stdout.splitlines():
        kind, *fields = line.split("\t")
        said.setdefault(kind, []).append(fields)

    engine = wav2edge.load(bundle, threads=1)
    clip, recording = (soundfile.read(path, dtype="int16", **RAW)[0] for path in sounds)
    (test,) = said["self test"]
    assert test[:2] == ["true", engine.precision]
    assert float(test[2]) <= float(test[3])
    assert_same(said["clip"], [engine(clip, rate_hz=RATE_HZ)])
    finals = finals_of(engine, recording)
    assert len(finals) > 1
    for kind in ("stream", "listening"):
        assert_same(said[kind], finals)
        assert [fields[6] for fields in said[kind]] == [final.reason for final in finals]
    assert said["ended"] == [["null"]]
    assert said["lost"] == [["0.0"]]
    code, message = said["error"][0]
    with pytest.raises(wav2edge.BundleError) as raised:
        wav2edge.load(bundle / "none-😀")
    assert (int(code), message) == (raised.value.exit_code, str(raised.value))


RAW = {"format": "RAW", "samplerate": RATE_HZ, "channels": 1, "subtype": "PCM_16"}


def finals_of(engine, samples):
    with engine.stream(rate_hz=RATE_HZ) as stream:
        events = [event for at in range(0, len(samples), BLOCK) for event in stream.feed(samples[at : at + BLOCK])]
        events += stream.finish()
    return [event for event in events if isinstance(event, wav2edge.Final)]


def assert_same(found, expected):
    """The same texts, classes, times and confidences."""
    assert len(found) == len(expected)
    for (text, label, start_s, end_s, confidence, words, *_), answer in zip(found, expected, strict=True):
        assert text == str(answer.text if answer.text is not None else "null")
        assert label == str(answer.label if answer.label is not None else "null")
        assert float(confidence) == pytest.approx(answer.confidence, abs=1e-4)
        begins_s = [float(word.rpartition("@")[2]) for word in words.split()]
        assert begins_s == pytest.approx([word.start_s for word in answer.words or ()])
        if isinstance(answer, wav2edge.Final):
            assert (float(start_s), float(end_s)) == pytest.approx((answer.start_s, answer.end_s))


@pytest.mark.parametrize(("language", "pattern", "count"), [("swift", "*.swift", 6), ("kotlin", "*.kts", 3)])
def test_what_is_not_compiled_here_has_no_syntax_errors(language, pattern, count):
    tree_sitter = pytest.importorskip("tree_sitter", reason="tree-sitter is not installed, which parses it")
    grammar = pytest.importorskip(f"tree_sitter_{language}", reason=f"tree-sitter-{language} is not installed")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    sources = sorted((ROOT / "runtime/mobile").rglob(pattern))
    assert len(sources) == count
    broken = {path.name: parser.parse(path.read_bytes()).root_node.has_error for path in sources}
    assert not any(broken.values()), broken
    assert parser.parse(b"fun( func (").root_node.has_error


def test_every_name_of_the_c_core_that_swift_uses_is_declared_by_it():
    header = (ROOT / "runtime/c/wav2edge.h").read_text(encoding="utf-8")
    swift = "\n".join(path.read_text(encoding="utf-8") for path in sorted(IOS.rglob("*.swift")))
    used = set(re.findall(r"\b(?:w2e|W2E)_\w+", swift))
    assert {"w2e_open", "w2e_stream_feed", "W2E_FINAL"} <= used
    assert {name for name in used if not re.search(rf"\b{name}\b", header)} == set()
    fields = set(re.findall(r"\b(?:answer|word|event|test|options|found|error)\.([a-z]\w*_\w+)", swift))
    assert "start_s" in fields
    assert {name for name in fields if not re.search(rf"\b{name}\b", header)} == set()


def test_the_xcode_project_names_files_that_are_there_and_links_onnx_runtime_into_the_app():
    project = yaml.safe_load((IOS / "project.yml").read_text(encoding="utf-8"))
    target = project["targets"]["wav2edge"]
    for source in target["sources"]:
        assert (IOS / source["path"]).exists(), source
    settings = target["settings"]["base"]
    assert (IOS / settings["SWIFT_OBJC_BRIDGING_HEADER"]).is_file()
    assert (IOS / settings["WAV2EDGE_BUNDLE"] / "manifest.json").is_file()
    assert settings["INFOPLIST_KEY_NSMicrophoneUsageDescription"]
    (define,) = [word for word in settings["GCC_PREPROCESSOR_DEFINITIONS"].split() if word.startswith("W2E_")]
    assert f"#ifdef {define}" in (ROOT / "runtime/c/wav2edge.c").read_text(encoding="utf-8")
    (dependency,) = target["dependencies"]
    assert dependency["package"] in project["packages"]


def test_the_c_core_compiles_as_it_does_in_the_ios_app(tmp_path):
    """Linked to ONNX Runtime instead of opening it: iOS apps may open no libraries."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed")
    source, output = ROOT / "runtime/c/wav2edge.c", tmp_path / "wav2edge.o"
    command = ["cc", "-std=c11", "-Wall", "-Werror", "-DW2E_LINK_ORT", "-c", str(source), "-o", str(output)]
    subprocess.run(command, check=True, timeout=LIMIT_S)
    listed = subprocess.run(["nm", str(output)], capture_output=True, text=True, check=True).stdout
    assert re.search(r"U _?OrtGetApiBase$", listed, re.MULTILINE)
    assert not re.search(r"U _?dlopen$", listed, re.MULTILINE)
