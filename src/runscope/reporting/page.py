"""The report: one HTML file that opens from disk, without a network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Any

import jinja2
from markupsafe import Markup

from runscope.history import Timeline
from runscope.hub.checkpoint import Checkpoint
from runscope.reporting.data import plain
from runscope.reporting.page_data import axes, charts, marks, metric_label
from runscope.reporting.study import STANDINGS
from runscope.verdict.types import Diagnosis

STATUS = {
    "confirmed": ("bad", "✕", "Overfitting confirmed"),
    "likely": ("bad", "▲", "Overfitting likely"),
    "suspected": ("doubt", "?", "Overfitting suspected"),
    "none": ("good", "✓", "No overfitting"),
    "unknown": ("unknown", "–", "Cannot be told"),
}
BASIS = {
    "checkpoints": "checkpoints evaluated on held-out examples",
    "eval_curve": "the logged held-out loss",
    "train_curve": "the training loss alone",
}
JOINED_BY = {
    "start": "being the first",
    "global_step": "the global step that it logged",
    "resume_metadata": "what the run recorded of where it came from",
    "epoch": "its epochs",
    "tokens": "its token count",
    "checkpoint": "the last checkpoint saved",
    "schedule": "its learning-rate schedule",
    "curve": "the shape of its loss",
    "given": "hand",
}
_NO_FACTS: Mapping[str, Any] = {
    "command": "",
    "made_at": "",
    "sha256": {},
    "revisions": (),
    "evaluation": {},
    "versions": {},
}
WORDS = (
    (0.99, "practically certain"), (0.9, "very likely"), (0.7, "likely"), (0.5, "more likely than not"),
    (0.3, "less likely than not"), (0.1, "unlikely"), (0.0, "very unlikely"),
)  # fmt: skip


def page(diagnosis: Diagnosis, facts: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        diagnosis: what was found.
        facts: how it was made: ``command``, ``made_at``, ``sha256``, ``revisions``, ``evaluation``, ``versions``.
    """
    verdict = diagnosis.verdict
    kind, icon, status = STATUS[verdict.overfitting.status]
    if verdict.overfitting.status == "none" and verdict.overfitting.basis == "train_curve":
        status = "No sign of overfitting"  # the training loss alone rules nothing out
    return _render(
        diagnosis.timeline, diagnosis, facts,
        verdict=verdict, kind=kind, icon=icon, status=status, chance=chance(verdict.overfitting.probability),
        basis=BASIS.get(verdict.overfitting.basis or ""), keep=_keep(diagnosis), findings=diagnosis.findings,
        notes=_notes(diagnosis.notes), rows=_rows(diagnosis), study=diagnosis.study,
        metric=metric_label(diagnosis.study) if diagnosis.study is not None else "",
    )  # fmt: skip


def line_page(line: Timeline, facts: Mapping[str, Any]) -> str:
    """The page of a stitched line that nobody has judged: its curves and how the runs were joined."""
    return _render(
        line, None, facts, verdict=None, status="Stitched", keep=None, findings=(), notes=_notes(line.notes),
        rows=(), study=None, metric="",
    )  # fmt: skip


def _render(line: Timeline, diagnosis: Diagnosis | None, facts: Mapping[str, Any], **words: Any) -> str:
    drawn = charts(line, diagnosis.study if diagnosis is not None else None)
    data = {"charts": drawn, "marks": marks(line, diagnosis, drawn), "axes": axes(line)}
    scripts = [_asset("vendor/uPlot.iife.min.js"), _asset("templates/report.js")]
    return _templates().get_template("report.html.j2").render(
        title=line.runs[0].name if line.runs else "training", drawn=_embedded(data), charts=drawn, line=line,
        runs=_runs(line), facts={**_NO_FACTS, **facts}, version=version("runscope"),
        styles=[Markup(_asset(name)) for name in ("vendor/uPlot.min.css", "templates/report.css")],
        scripts=[Markup(s) for s in scripts], script_hashes=Markup(" ".join(_fingerprint(s) for s in scripts)),
        **words,
    )  # fmt: skip


def _fingerprint(script: str) -> str:
    """A script as a content security policy names it: a browser then runs no other, whoever wrote it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def chance(probability: float | None) -> str:
    """A probability in words and as a number."""
    if probability is None:
        return ""
    words = next(w for bound, w in WORDS if probability >= bound)
    shown = "over 99%" if probability > 0.99 else "under 1%" if probability < 0.01 else f"{probability:.0%}"
    return f"{shown}, {words}"


def loading_code(checkpoint: Checkpoint, base: str | None = None) -> str:
    """The two lines of Python that load a checkpoint.

    Args:
        checkpoint: on the Hub, or fetched to a local folder.
        base: the base model that was named by hand, because the adapter names none that loads.
    """
    adapter = checkpoint.adapter is not None or any(
        PurePath(f.path).name == "adapter_config.json" for f in checkpoint.files
    )
    where = _place_in_code(checkpoint)
    first = _fetching(checkpoint)
    if adapter and base is not None:
        loaded = f"AutoModelForCausalLM.from_pretrained({base!r})"
        return first + (
            "from peft import PeftModel; from transformers import AutoModelForCausalLM\n"
            f"model = PeftModel.from_pretrained({loaded}, {where})"
        )
    package, name = (
        ("peft", "AutoPeftModelForCausalLM") if adapter else ("transformers", "AutoModelForCausalLM")
    )
    return f"{first}from {package} import {name}\nmodel = {name}.from_pretrained({where})"


def _place_in_code(checkpoint: Checkpoint) -> str:
    if checkpoint.local_path is not None:
        return repr(str(checkpoint.local_path))
    if _is_clone(checkpoint):
        words = [repr(_cloned(checkpoint))]
    else:
        words = [repr(checkpoint.repo)]
        if checkpoint.revision:
            words.append(f"revision={checkpoint.revision!r}")
    if checkpoint.subfolder:
        words.append(f"subfolder={checkpoint.subfolder!r}")
    return ", ".join(words)


def _is_clone(checkpoint: Checkpoint) -> bool:
    """Whether the repository is git on disk: no library loads a revision of that."""
    on_hub = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", checkpoint.repo) and not checkpoint.repo.endswith(
        (".bundle", ".git")
    )
    return checkpoint.revision is not None and (not on_hub or Path(checkpoint.repo).exists())


def _cloned(checkpoint: Checkpoint) -> str:
    return f"{PurePath(checkpoint.repo).stem}-{checkpoint.name}"


def _fetching(checkpoint: Checkpoint) -> str:
    if checkpoint.local_path is not None or not _is_clone(checkpoint):
        return ""
    source, target = shlex.quote(checkpoint.repo), shlex.quote(_cloned(checkpoint))
    return f"# first: git clone {source} {target} && git -C {target} checkout {checkpoint.name}\n"


def _keep(diagnosis: Diagnosis) -> dict[str, Any] | None:
    checkpoint = diagnosis.verdict.keep
    if checkpoint is None:
        return None
    base = diagnosis.study.settings.get("base") if diagnosis.study is not None else None
    return {"checkpoint": checkpoint, "code": loading_code(checkpoint, base)}


def _runs(line: Timeline) -> list[dict[str, Any]]:
    return [
        {
            "name": s.run.name, "id": s.run.id, "state": s.run.state, "continues": s.continues, "first": s.first_step,
            "last": s.last_step, "offset": s.offset, "confidence": s.confidence, "evidence": s.evidence,
            "dropped": s.dropped_points, "method": JOINED_BY[s.method], "alternatives": s.alternatives,
        }
        for s in line.segments
    ]  # fmt: skip


def _notes(notes: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """What there is to say, and the rules that could not look."""
    idle = [n for n in notes if "could not look" in n]
    return [n for n in notes if n not in idle], idle


def _rows(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """One row a checkpoint, scored or not."""
    scored = {id(s.checkpoint): s for s in diagnosis.study.scores} if diagnosis.study else {}
    by_place = {_place(s.checkpoint): s for s in diagnosis.study.scores} if diagnosis.study else {}
    kept = diagnosis.verdict.keep
    rows = []
    for checkpoint in diagnosis.checkpoints or tuple(s.checkpoint for s in by_place.values()):
        score = scored.get(id(checkpoint)) or by_place.get(_place(checkpoint))
        rows.append(
            {
                "checkpoint": checkpoint, "score": score,
                "kept": kept is not None and _place(kept) == _place(checkpoint),
                "standing": STANDINGS[score.standing] if score else "",
                "order": list(STANDINGS).index(score.standing) if score else len(STANDINGS),
                "when": _when(checkpoint.saved_at),
            }
        )  # fmt: skip
    return rows


def _place(checkpoint: Checkpoint) -> tuple[str, str | None, str]:
    return checkpoint.repo, checkpoint.revision, checkpoint.subfolder


def _when(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M") if seconds else ""


def _embedded(data: Any) -> Markup:
    """JSON that cannot end the script it stands in."""
    text = json.dumps(plain(data), allow_nan=False, separators=(",", ":"))
    for sign in "&<>":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


@cache
def _asset(name: str) -> str:
    return files("runscope.reporting").joinpath(name).read_text(encoding="utf-8")


@cache
def _templates() -> jinja2.Environment:
    def number(value: float | None, digits: int = 3) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    def grouped(value: int | None) -> str:
        return "" if value is None else f"{value:,}"

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("runscope.reporting"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip

    def evidence(value: object) -> str:
        if isinstance(value, list | tuple):
            return ", ".join(evidence(v) for v in value)
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    environment.filters |= {"number": number, "grouped": grouped, "evidence": evidence}
    return environment
