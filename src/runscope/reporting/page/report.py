"""The report: one HTML file that opens from disk, without a network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from runscope.evaluation.study import Study
from runscope.history import Timeline
from runscope.history.checkpoint import Checkpoint
from runscope.reporting.page.loading import loading_code
from runscope.reporting.page.rendering import render
from runscope.reporting.text.diagnosis import sureness
from runscope.reporting.text.study import EXTRAS, OUTCOMES, STANDINGS, standing_words
from runscope.reporting.view.charts import Chart, charts, evaluated, memorised, metric_label
from runscope.reporting.view.crowd import crowded
from runscope.reporting.view.marks import NOTHING_ACROSS, marks
from runscope.reporting.view.resumes import close_ups
from runscope.reporting.view.tones import tone_of
from runscope.units import chance_words
from runscope.verdict.types import Diagnosis

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
WORDS = (
    (0.99, "practically certain"), (0.9, "very likely"), (0.7, "likely"), (0.55, "more likely than not"),
    (0.45, "as likely as not"), (0.3, "less likely than not"), (0.1, "unlikely"), (0.0, "very unlikely"),
)  # fmt: skip


def page(diagnosis: Diagnosis, facts: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        diagnosis: what was found.
        facts: how it was made: ``command``, ``made_at``, ``inputs``, ``settings``, ``versions``.
    """
    verdict, line = diagnosis.verdict, diagnosis.timeline
    tone = tone_of(diagnosis)
    shown = {id(f) for f in crowded(diagnosis.findings)[0]}
    numbered = list(enumerate(diagnosis.findings, 1))

    def across(keys: Sequence[str]) -> dict[str, Any]:
        return marks(line, diagnosis, keys)

    def drawn(room: int) -> list[Chart]:
        return charts(line, diagnosis.study, diagnosis.checkpoints, room=room)

    return render(
        "report.html.j2", drawn, across, [line], facts,
        title=title_of(line), runs=described_runs(line), verdict=verdict, kind=tone.kind, icon=tone.icon,
        status=tone.words, chance=chance(verdict.overfitting.probability) if tone.overfitting else "",
        overfit="" if tone.overfitting or verdict.overfitting.probability is None else sureness(verdict.overfitting),
        baseline=diagnosis.baseline, basis=BASIS.get(verdict.overfitting.basis or ""),
        keep=_keep(diagnosis), findings=[(n, f) for n, f in numbered if id(f) in shown],
        crowd=[(n, f) for n, f in numbered if id(f) not in shown], notes=sorted_notes(diagnosis.notes),
        rows=checkpoint_rows(diagnosis.study, diagnosis.checkpoints, verdict.keep),
        study=diagnosis.study, metric=metric_label(diagnosis.study) if diagnosis.study is not None else "",
        extra_words=EXTRAS,
        resumes=close_ups(line),
    )  # fmt: skip


def line_page(line: Timeline, facts: Mapping[str, Any]) -> str:
    """The page of a stitched line that nobody has judged: its curves and how the runs were joined."""
    return render(
        "line.html.j2", lambda room: charts(line, room=room), lambda keys: marks(line, None, keys), [line], facts,
        title=title_of(line), runs=described_runs(line), status="Stitched", line=line, notes=sorted_notes(line.notes),
        resumes=close_ups(line),
    )  # fmt: skip


def study_page(study: Study) -> str:
    """The page of evaluated checkpoints alone: their scores, their table, and what they answered."""
    scores = [chart for chart in (evaluated(study), memorised(study)) if chart.curves]
    kind = {"overfit": "bad", "not_worse": "good", "undecided": "doubt"}[study.outcome]
    return render(
        "study.html.j2", lambda _: scores, lambda _: NOTHING_ACROSS, [Timeline(())], {},
        title="checkpoints", status=OUTCOMES[study.outcome], kind=kind, study=study, metric=metric_label(study),
        rows=checkpoint_rows(study, (), study.best), notes=([], []), extra_words=EXTRAS,
    )  # fmt: skip


def chance(probability: float | None) -> str:
    """A probability in words and as a number."""
    if probability is None:
        return ""
    words = next(w for bound, w in WORDS if probability >= bound)
    return f"{chance_words(probability)}, {words}"


def title_of(line: Timeline) -> str:
    """What people call the training: the name of its first run."""
    return line.runs[0].name if line.runs else "training"


def _keep(diagnosis: Diagnosis) -> dict[str, Any] | None:
    checkpoint = diagnosis.verdict.keep
    if checkpoint is None:
        return None
    base = diagnosis.study.settings.get("base") if diagnosis.study is not None else None
    return {
        "checkpoint": checkpoint, "code": loading_code(checkpoint, base), "own": own_step(checkpoint),
        "title": telling_title(checkpoint),
    }  # fmt: skip


_SAYS_ITS_STEP = re.compile(
    r"(training in progress,? (step|epoch) [\d.]+|checkpoint-\d+|end of training)", re.IGNORECASE
)


def telling_title(checkpoint: Checkpoint) -> str:
    """A checkpoint's title, unless all that it tells is the step, which stands beside it."""
    return "" if _SAYS_ITS_STEP.fullmatch(checkpoint.title.strip()) else checkpoint.title


def own_step(checkpoint: Checkpoint) -> int | None:
    """The step in the run that saved it, as its title has it, where that is another than the training's."""
    return checkpoint.own_step if checkpoint.own_step != checkpoint.step else None


def described_runs(line: Timeline) -> list[dict[str, Any]]:
    """How each run came to its place."""
    return [
        {
            "name": s.run.title, "id": s.run.id, "state": s.run.state, "continues": s.continues, "first": s.first_step,
            "last": s.last_step, "offset": s.joined_at, "confidence": s.confidence, "evidence": s.evidence,
            "dropped": s.dropped_points, "method": JOINED_BY[s.method],
        }
        for s in line.segments
    ]  # fmt: skip


def sorted_notes(notes: Sequence[str]) -> tuple[list[str], list[str]]:
    """What there is to say, and the rules that could not look."""
    idle = [n for n in notes if "could not look" in n]
    return [n for n in notes if n not in idle], idle


def checkpoint_rows(
    study: Study | None, checkpoints: Sequence[Checkpoint], kept: Checkpoint | None
) -> list[dict[str, Any]]:
    """One row a checkpoint, scored or not."""
    by_place = {_place(s.checkpoint): s for s in study.scores} if study is not None else {}
    rows = []
    for checkpoint in checkpoints or tuple(s.checkpoint for s in by_place.values()):
        score = by_place.get(_place(checkpoint))
        rows.append(
            {
                "checkpoint": checkpoint, "score": score,
                "kept": kept is not None and _place(kept) == _place(checkpoint),
                "standing": standing_words(score, study) if score and study else "",
                "order": list(STANDINGS).index(score.standing) if score else len(STANDINGS),
                "when": _when(checkpoint.saved_at), "own": own_step(checkpoint), "title": telling_title(checkpoint),
                "idle": score is None or score.mean is None,
            }
        )  # fmt: skip
    return rows


def _place(checkpoint: Checkpoint) -> tuple[str, str | None, str]:
    return checkpoint.repo, checkpoint.revision, checkpoint.subfolder


def _when(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M") if seconds else ""
