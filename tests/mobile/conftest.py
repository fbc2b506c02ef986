"""The Android sample, compiled on this machine: the Kotlin compiler, Java, the JNI library."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from filelock import FileLock

from tests.npm_packages import npm_install

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ANDROID = ROOT / "runtime/mobile/android"
MAIN = ANDROID / "app/src/main"
IOS = ROOT / "runtime/mobile/ios"
INSTALLED = ROOT / "build/mobile"
"""The Kotlin compiler, kept between runs."""
COMPILER = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
LIMIT_S = 300

KotlinCompiler = Callable[[Sequence[Path], Path, Sequence[Path]], None]


@pytest.fixture(scope="session")
def java_home() -> Path:
    """A Java development kit with the headers of JNI."""
    compiler = shutil.which("javac")
    home = None if compiler is None else Path(compiler).resolve().parents[1]
    if home is None or not (home / "include/jni.h").is_file():
        pytest.skip("no Java development kit is installed, which the JNI library is compiled with")
    return home


@pytest.fixture(scope="session")
def kotlin_jars(java_home: Path) -> Path:
    """The folder with the jars of the Kotlin compiler."""
    if shutil.which("npm") is None:
        pytest.skip("npm is absent, which brings the Kotlin compiler")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with FileLock(INSTALLED / "lock"):
        wanted, marker = (HERE / "package.json").read_bytes(), INSTALLED / "installed.json"
        if not marker.is_file() or marker.read_bytes() != wanted:
            (INSTALLED / "package.json").write_bytes(wanted)
            npm_install(INSTALLED, "the Kotlin compiler")
            marker.write_bytes(wanted)
    return INSTALLED / "node_modules/kotlin-compiler/lib"


@pytest.fixture(scope="session")
def kotlin(kotlin_jars: Path, java_home: Path) -> KotlinCompiler:
    """A function that compiles Kotlin sources against classes to a folder; a warning is an error."""

    def compile_kotlin(sources: Sequence[Path], output: Path, classes: Sequence[Path] = ()) -> None:
        command = [str(java_home / "bin/java"), "-Xmx1g", "-cp", str(kotlin_jars / "kotlin-compiler.jar"), COMPILER]
        command += ["-Werror", "-no-reflect", "-jvm-target", "17", "-d", str(output)]
        command += ["-cp", ":".join(map(str, classes)), *map(str, sources)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, done.stderr

    return compile_kotlin


@pytest.fixture(scope="session")
def jni_folder(java_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the JNI library, built for this machine by the sample's own CMakeLists.txt."""
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("CMake or a C++ compiler is absent, which the JNI library is compiled with")
    folder = tmp_path_factory.mktemp("jni")
    (system,) = {path.parent.name for path in (java_home / "include").glob("*/jni_md.h")}
    headers = f"{java_home}/include;{java_home}/include/{system}"
    configure = ["cmake", "-S", str(MAIN / "cpp"), "-B", str(folder), "-DCMAKE_C_FLAGS=-O1"]
    flags = "-DCMAKE_CXX_FLAGS=-Werror"
    for command in ([*configure, f"-DJAVA_INCLUDE={headers}", flags], ["cmake", "--build", str(folder)]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def onnxruntime_library() -> Path:
    """The shared library in the package of ONNX Runtime."""
    import onnxruntime

    found = list((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.*"))
    libraries = [path for path in found if re.fullmatch(r"libonnxruntime\.(so[.\d]*|[.\d]*dylib)", path.name)]
    if not libraries:
        pytest.skip("the installed ONNX Runtime has no library of its C API")
    return libraries[0]
