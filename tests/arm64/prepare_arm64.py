"""Prepares a folder in which an x86 machine runs the tests as an Arm processor would: QEMU, Debian for arm64, packages.

    python tests/arm64/prepare_arm64.py

It takes a minute, 700 MB, and Debian's packages mmdebstrap and, for the C binding, gcc-aarch64-linux-gnu.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from shlex import quote

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build/arm64"
STAMP = FOLDER / "prepared.json"
"""What was prepared; written last."""
PYTHON = FOLDER / "python"
"""A script that runs Debian's Python for arm64, this repository's runtime and its packages in QEMU."""
PACKAGES = FOLDER / "packages"

QEMU_SUITE, DEBIAN_SUITE = "trixie", "bookworm"
"""QEMU 7.2, which bookworm has, computes SME's products wrongly: the same graph then answered nonsense."""
DEBIAN = ("python3.11-minimal", "libpython3.11-stdlib", "libc6", "libgcc-s1", "libstdc++6")
WHEELS = ("numpy", "onnxruntime", "soundfile", "soxr", "onnx", "scipy", "jiwer", "jsonschema", "pytest")
"""What the runtime needs, and its tests."""
PURE = ("srt", "webvtt-py", "praatio", "typing_extensions")
"""Packages of Python alone, some of which come as source only."""
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_17", "manylinux2014")

WRAPPER = """\
#!/bin/sh
# Low priority: emulation is slow, and keeps a core busy.
folder={folder} root={root}
export QEMU_CPU="${QEMU_CPU:-cortex-a76}" PYTHONDONTWRITEBYTECODE=1
ours="$folder/hook:$folder/packages:$root/runtime:$root/train:$root/export:$root/benchmarks:$root"
export PYTHONPATH="$ours${PYTHONPATH:+:$PYTHONPATH}"
exec nice -n 15 "$folder/qemu/usr/bin/qemu-aarch64" -L "$folder/debian" "$folder/debian/usr/bin/python3.11" "$@"
"""
HOOK = """\
# Linux starts no program of another processor: what starts Python anew starts the script instead.
import sys

sys.executable = sys._base_executable = {python!r}
"""


def wanted() -> dict[str, object]:
    """What the folder is to hold: it is prepared anew when that changes."""
    versions = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return {"suites": [QEMU_SUITE, DEBIAN_SUITE], "packages": [*DEBIAN, *WHEELS, *PURE], "versions": versions}


def is_prepared() -> bool:
    """Whether the folder holds what is wanted."""
    return STAMP.is_file() and json.loads(STAMP.read_text(encoding="utf-8")) == wanted()


def prepare() -> None:
    """Fetch what is missing, and write the script."""
    if not is_prepared():
        fetch()
    (FOLDER / "hook").mkdir(exist_ok=True)
    (FOLDER / "hook/sitecustomize.py").write_text(HOOK.format(python=str(PYTHON)), encoding="utf-8")
    script = WRAPPER.replace("{folder}", quote(str(FOLDER))).replace("{root}", quote(str(ROOT)))
    PYTHON.write_text(script, encoding="utf-8")
    PYTHON.chmod(0o755)


def fetch() -> None:
    """Fetch everything anew."""
    if shutil.which("mmdebstrap") is None:
        sys.exit("mmdebstrap is not installed, which unpacks Debian for arm64; run: apt install mmdebstrap")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    unpack("amd64", QEMU_SUITE, FOLDER / "qemu", ("qemu-user",))
    unpack("arm64", DEBIAN_SUITE, FOLDER / "debian", DEBIAN)
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    platforms = [f"--platform={platform}_aarch64" for platform in PLATFORMS]
    for_arm = ["--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=abi3", "--abi=none"]
    install(*platforms, *for_arm, "--only-binary=:all:", *constraints, *WHEELS)
    install("--no-deps", "--upgrade", *constraints, *PURE)
    STAMP.write_text(json.dumps(wanted()), encoding="utf-8")


def unpack(architecture: str, suite: str, folder: Path, packages: tuple[str, ...]) -> None:
    """Unpack packages of Debian with all that they need, without running any of their scripts."""
    options = ["--variant=extract", f"--architectures={architecture}", f"--include={','.join(packages)}"]
    subprocess.run(["mmdebstrap", "--quiet", *options, suite, str(folder)], check=True)


def install(*words: str) -> None:
    """Install packages for arm64."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--target", str(PACKAGES), *words], check=True)


if __name__ == "__main__":
    prepare()
