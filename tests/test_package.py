"""What is published: wheel and source archive, what they ask for, and the files of the project around them."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import runscope

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "runscope"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def ran(*words: str | Path, folder: Path, **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}  # it would lead to this checkout
    done = subprocess.run(
        [str(w) for w in words], cwd=folder, env=clean | environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Source archive, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("built")
    tree = folder / "tree"
    names = ("src", "tests", "docs", "tools", "benchmarks")
    for name in names:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for file in ROOT.glob("*"):
        if file.is_file():
            shutil.copy(file, tree)
    ran(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", tree, folder=folder)
    (archive,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return archive, wheel


def installed(package: Path, folder: Path) -> Path:
    """An environment in which nothing but the package is installed; what it needs is borrowed from this one."""
    environment = folder / "environment"
    ran(sys.executable, "-m", "venv", "--without-pip", environment, folder=folder)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    words = ("--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed", "--quiet")
    python = environment / "bin" / "python"
    ran(sys.executable, "-m", "pip", "--python", python, "install", *words, package, folder=folder)
    return environment / "bin"


@pytest.mark.slow
def test_the_wheel_runs_the_demo_in_an_environment_of_its_own(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    programs = installed(built[1], tmp_path)
    where = ran(programs / "python", "-c", "import runscope; print(runscope.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(programs.parent), "else this checkout would be tested"
    home = str(tmp_path / "home")
    ran(programs / "runscope", "demo", "--output", "demo", "--quiet", folder=tmp_path, RUNSCOPE_HOME=home)
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "Overfitting confirmed" in page
    assert (tmp_path / "demo" / "recipe.toml").is_file()


@pytest.mark.slow
def test_the_source_archive_installs_and_says_the_same_version(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    programs = installed(built[0], tmp_path)
    assert ran(programs / "runscope", "--version", folder=tmp_path).split() == [
        "runscope",
        runscope.__version__,
    ]
    said = "from importlib.metadata import version; print(version('runscope'))"
    assert ran(programs / "python", "-c", said, folder=tmp_path).strip() == runscope.__version__


def imports(file: Path) -> Iterator[str]:
    """Top-level names of the packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def asked_for(*extras: str) -> set[str]:
    lines = [*PROJECT["dependencies"], *(r for e in extras for r in PROJECT["optional-dependencies"][e])]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def test_every_package_that_is_imported_is_asked_for() -> None:
    """An environment that borrows what is needed would not show a dependency that nobody declared."""
    known = packages_distributions()
    declared = asked_for(*(e for e in PROJECT["optional-dependencies"] if e not in ("dev", "bench")))
    for file in SOURCE.rglob("*.py"):
        for name in set(imports(file)) - set(sys.stdlib_module_names) - {"runscope"}:
            owners = {canonicalize_name(owner) for owner in known.get(name, [name])}
            assert owners & declared, f"{file.relative_to(ROOT)} imports {name}"


def test_what_the_tests_install_is_pinned() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {Requirement(p).name: Requirement(p) for p in pins if p and not p.startswith("#")}
    names = {canonicalize_name(name) for name in pinned}
    assert asked_for("eval", "dev") <= names, "make pins renews constraints.txt"
    assert all(str(r.specifier).startswith("==") for r in pinned.values())


def test_the_version_stands_in_one_place() -> None:
    assert "version" in PROJECT["dynamic"]
    said = re.compile(rf"(?<![\w.]){re.escape(runscope.__version__)}(?![\w.])")
    files = [ROOT / "pyproject.toml", *SOURCE.rglob("*.py")]
    holding = [f.relative_to(ROOT).as_posix() for f in files if said.search(f.read_text(encoding="utf-8"))]
    assert holding == ["src/runscope/__init__.py"]


def test_the_hooks_are_those_of_make_check() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.M)
    assert recipe is not None
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [hook["entry"] for repository in hooks["repos"] for hook in repository["hooks"]] == commands


FORMS = [
    ("vendor.github-workflows", "workflows/*.yml"),
    ("vendor.github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
    ("vendor.github-issue-config", "ISSUE_TEMPLATE/config.yml"),
]


@pytest.mark.parametrize(("schema", "files"), FORMS)
def test_github_takes_the_files_that_are_for_it(schema: str, files: str) -> None:
    found = sorted((ROOT / ".github").glob(files))
    assert found
    ran(sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *found, folder=ROOT)


def test_pre_commit_takes_its_hooks(tmp_path: Path) -> None:
    ran(
        sys.executable, "-m", "pre_commit", "validate-config", ROOT / ".pre-commit-config.yaml", folder=tmp_path,
        PRE_COMMIT_HOME=str(tmp_path / "home"),
    )  # fmt: skip
