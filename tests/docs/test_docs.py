"""The docs hold what they say: links lead somewhere, the reference is whole, notebook and workflow run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.world import services

DOCS = Path(__file__).parents[2] / "docs"


def test_the_site_is_built_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    pytest.importorskip("furo", reason="pip install -e '.[dev]'")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-d", str(tmp_path / "trees"), str(DOCS),
         str(tmp_path / "site")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr[-4000:]
    for page in DOCS.rglob("*.md"):
        assert (tmp_path / "site" / page.relative_to(DOCS).with_suffix(".html")).is_file(), page


def test_the_reference_has_every_stable_name_and_no_other() -> None:
    import runscope

    named = re.findall(
        r"^\.\. auto(?:function|class):: runscope\.(\w+)$", (DOCS / "api.md").read_text("utf-8"), re.M
    )
    assert sorted(named) == sorted(runscope.__all__)
    for name in named:
        assert (getattr(runscope, name).__doc__ or "").strip(), name


@pytest.mark.parametrize("notebook", sorted((DOCS / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(notebook: Path, tmp_path: Path) -> None:
    """As Jupyter would: what a cell ends with is shown in the forms that it has for a notebook."""
    cells = [
        "".join(cell["source"])
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    assert len(cells) > 3
    (tmp_path / "cells.json").write_text(json.dumps(cells), encoding="utf-8")
    session = """
import ast, json
space = {}
for cell in json.load(open("cells.json", encoding="utf-8")):
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), space)
    shown = eval(compile(ast.Expression(last.value), "cell", "eval"), space) if last is not None else None
    if hasattr(shown, "_repr_html_"):
        assert "<" in shown._repr_html_()
"""
    with services(set(), tmp_path) as environment:
        done = subprocess.run(
            [sys.executable, "-c", session],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "report.html").is_file()


def test_the_workflow_is_one_that_github_takes(tmp_path: Path) -> None:
    text = (DOCS / "github-actions.md").read_text(encoding="utf-8")
    (workflow,) = [b for b in re.findall(r"```yaml\n(.*?)```", text, flags=re.S) if b.startswith("name:")]
    file = tmp_path / "diagnose.yml"
    file.write_text(workflow, encoding="utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(file)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_steps_of_the_workflow_run(tmp_path: Path) -> None:
    """What the job would do on a machine of GitHub's, as far as runscope goes."""
    import yaml

    text = (DOCS / "github-actions.md").read_text(encoding="utf-8")
    (workflow,) = [b for b in re.findall(r"```yaml\n(.*?)```", text, flags=re.S) if b.startswith("name:")]
    steps = yaml.safe_load(workflow)["jobs"]["diagnose"]["steps"]
    commands = {
        s["name"]: s["run"] for s in steps if "runscope " in s.get("run", "") and s["name"] != "Install"
    }
    summary = tmp_path / "summary.md"
    with services({"wandb"}, tmp_path) as environment:
        environment |= {"RUN": "me/pricer/killed1", "GITHUB_STEP_SUMMARY": str(summary)}
        for name, command in commands.items():
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", command], cwd=tmp_path, env=environment, capture_output=True,
                text=True,
            )  # fmt: skip
            assert done.returncode in (0, 1), f"{name}: {done.stderr}"
    assert summary.read_text(encoding="utf-8").startswith("**")
    assert (tmp_path / "report" / "report.html").is_file()


def test_the_tree_of_rooms_is_the_one_that_there_is() -> None:
    """Every room and every folder in one; the families of the rules are named as one."""
    tree = re.search(
        r"^src/runscope/\n(.*?)^```$", (DOCS / "architecture.md").read_text("utf-8"), re.M | re.S
    )
    assert tree is not None
    named = set(re.findall(r"(?<![\w./])(\w+)/(?= )", tree[1]))
    source = DOCS.parent / "src" / "runscope"
    packages = [p.parent.relative_to(source) for p in source.glob("*/**/__init__.py")]
    rooms = {p.name for p in packages if p.parts[0] != "rules" or len(p.parts) == 1}
    assert named == rooms
