"""What runscope says, as JSON has it: schemas of the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from runscope.evaluation.study import Against
from runscope.history import Segment, Timeline
from runscope.rules import Finding, View
from runscope.rules.resume.answers import Told, answers
from runscope.verdict.types import Diagnosis

DIAGNOSIS_SCHEMA = "runscope.diagnosis/1"
STITCH_SCHEMA = "runscope.stitch/1"


_PLAIN = frozenset((str, int, bool, type(None)))


def plain(value: Any) -> Any:
    """A value as JSON can hold it: numpy scalars unpacked, non-finite numbers as W&B writes them."""
    kind = type(value)
    if kind in _PLAIN or (kind is float and math.isfinite(value)):
        return value  # nearly all of a survey of thousands
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def timeline_json(line: Timeline) -> dict[str, Any]:
    """A stitched line, schema ``runscope.stitch/1``."""
    return {
        "schema": STITCH_SCHEMA,
        "axis": "step",
        "segments": [_segment(s) for s in line.segments],
        "gaps": [asdict(g) for g in line.gaps],
        "resumes": [_resume(told) for told in answers(View(line))],
        "notes": list(line.notes),
    }


def _resume(told: Told) -> dict[str, Any]:
    """What a resume did, and the probability of every cause."""
    answer = told.resume.answer
    return {
        "run": told.resume.later.reference,
        "step": int(told.resume.join.start),
        "cause": told.cause,
        "probability": plain(told.probability),
        "causes": {} if answer is None else plain(answer.probability),
        "schedule_lost": None if answer is None else plain(answer.schedule),
        "answer": told.short,
        "message": told.finding.message if told.finding is not None else None,
    }


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "run": segment.run.reference,
        "id": segment.run.id,
        "name": segment.run.name,
        "continues": segment.continues,
        "step_key": segment.run.step_key,
        "offset": segment.offset,
        "scale": segment.scale,
        "start": segment.start,
        "parent": segment.parent,
        "first_step": segment.first_step,
        "last_step": segment.last_step,
        "dropped_points": segment.dropped_points,
        "method": segment.method,
        "confidence": plain(segment.confidence),
        "evidence": list(segment.evidence),
        "alternatives": [plain(asdict(a)) for a in segment.alternatives],
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """One finding."""
    shown: dict[str, Any] = plain({**asdict(finding), "evidence": dict(finding.evidence)})
    return shown


def diagnosis_json(diagnosis: Diagnosis, reference: str) -> dict[str, Any]:
    """A diagnosis, schema ``runscope.diagnosis/1``."""
    verdict = diagnosis.verdict
    return {
        "schema": DIAGNOSIS_SCHEMA,
        "run": reference,
        "verdict": {
            "headline": verdict.headline,
            "overfitting": plain(asdict(verdict.overfitting)),
            "gradients": plain(asdict(verdict.gradients)),
            "recommendation": verdict.recommendation,
            "keep_step": verdict.keep_step,
            "keep_revision": verdict.keep.revision if verdict.keep else None,
            "next_time": list(verdict.next_time),
        },
        "findings": [finding_json(f) for f in diagnosis.findings],
        **against_json(diagnosis.baseline),
        "notes": [*diagnosis.notes, *(diagnosis.study.notes if diagnosis.study is not None else ())],
    }


def against_json(baseline: Against | None) -> dict[str, Any]:
    """How it compares with a baseline, under ``baseline``; nothing where none was named."""
    return {} if baseline is None else {"baseline": plain(asdict(baseline))}
