"""Reports: written, with what they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runscope.api.judging import diagnose
from runscope.display import draw_with
from runscope.errors import StoreError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from runscope.api.recipe import Recipe
    from runscope.history import Run, Timeline
    from runscope.verdict import Comparison
    from runscope.verdict.types import Diagnosis


def report(
    what: Diagnosis | Comparison | Timeline | Run | str,
    path: str | Path,
    *,
    facts: Mapping[str, Any] | None = None,
    form: str | None = None,
) -> Path:
    """Write a diagnosis or a comparison to a file; its ending picks the form.

    Args:
        what: a diagnosis, a comparison, or what :func:`diagnose` takes.
        path: ``.html``, ``.png``, ``.svg``, ``.md``, ``.json``, and of a diagnosis ``.csv`` or ``.parquet``.
        facts: how it was made, from :func:`recipe_facts`.
        form: ``html``, ``png``, ``svg``, ``markdown``, ``json``, ``slack``, ``chat``, ``card``, whatever the ending.
    """
    from runscope.reporting import write, write_comparison
    from runscope.verdict import Comparison, Diagnosis

    if isinstance(what, Comparison):
        return write_comparison(what, Path(path), facts=facts, form=form)
    found = what if isinstance(what, Diagnosis) else diagnose(what)
    return write(found, Path(path), facts=facts, form=form)


def write_report(
    found: Diagnosis | Comparison, recipe: Recipe, output: Path, *, form: str | None = None
) -> list[Path]:
    """Write a report where ``output`` says, and the recipe that makes it again.

    Args:
        found: what :func:`investigate` or :func:`compare` found.
        recipe: the arguments it was given.
        output: a file whose ending picks the form, or a folder, which gets ``report.html``,
            ``findings.json`` and ``recipe.toml``.
        form: of a file, whatever its ending.

    Raises:
        StoreError: the place cannot be written.
    """
    facts = recipe_facts(recipe, found)
    folder = form is None and (not output.suffix or output.is_dir())
    try:
        (output if folder else output.parent).mkdir(parents=True, exist_ok=True)
        if not folder:
            return [report(found, output, facts=facts, form=form)]
        recipe.write(output / "recipe.toml", facts=facts)
        pages = [report(found, output / name, facts=facts) for name in ("report.html", "findings.json")]
    except OSError as error:
        raise StoreError(
            f"{output} cannot be written: {error.strerror}", hint="choose another place with --output"
        ) from error
    return [*pages, output / "recipe.toml"]


def recipe_facts(recipe: Recipe, found: Diagnosis | Comparison) -> dict[str, Any]:
    """What a report was made from: command, inputs with hashes and revisions, settings, versions."""
    import platform
    from datetime import UTC, datetime
    from importlib.metadata import version

    from runscope.api.recipe import inputs
    from runscope.verdict import Diagnosis

    diagnoses = [found] if isinstance(found, Diagnosis) else [c.diagnosis for c in found.contenders]
    studies = [d.study for d in diagnoses if d.study is not None]
    packages = ("runscope", "numpy", *(("torch", "transformers", "peft") if studies else ()))
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": recipe.command(),
        "inputs": [one for d in diagnoses for one in inputs(recipe, d)],
        "settings": recipe.shown_settings() | (dict(studies[0].settings) if studies else {}),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
    }


class _Artist:
    """Draws for notebooks; what it needs is loaded when something is drawn."""

    def html(self, what: Any) -> str:
        from runscope.reporting.page.notebook import html

        return html(what)

    def plot(self, what: Any, axes: Axes | None) -> Axes:
        from runscope.reporting.page.notebook import plot

        return plot(what, axes)


draw_with(_Artist())
