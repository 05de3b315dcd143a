"""Is a training worse than the last good one: by its held-out curve, or by its checkpoints on the same examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runscope.api.judging import diagnose, evaluate, named_metric

if TYPE_CHECKING:
    from runscope.evaluation.study import Study
    from runscope.evaluation.trainings.seeds import Seeds
    from runscope.history import Run, Timeline
    from runscope.progress import Progress
    from runscope.verdict import Diagnosis


def against_runs(
    diagnosis: Diagnosis,
    baselines: Sequence[str | Path | Run | Timeline | Diagnosis],
    *,
    metric: str | None = None,
    min_effect: float | None = None,
    ignore: Iterable[str] = (),
    roles: Mapping[str, str | None] | None = None,
    project: str | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """The diagnosis, with how it compares with earlier trainings by the held-out curves that all of them logged.

    Args:
        diagnosis: of the new training.
        baselines: good trainings, each what :func:`runscope.diagnose` takes; ``A+B`` is one training of two runs.
            Three or more are taken for seeds of one recipe, and their spread counts.
        metric: what is compared, ``NAME`` or ``NAME:lower`` or ``NAME:higher``; else what decided for all of them.
        min_effect: the smallest difference that matters, in units of the metric.
        ignore, roles: of the baselines, as :func:`runscope.diagnose` takes them.
        project: W&B ``entity/project`` that bare names and ids are looked up in.
        progress: called while they are read.

    Raises:
        MissingMetric: the new training logged no such metric.
    """
    from runscope.verdict import Diagnosis as Judged
    from runscope.verdict.baseline import hold_against

    options: dict[str, Any] = {
        "ignore": tuple(ignore),
        "roles": roles,
        "project": project,
        "progress": progress,
    }
    good = [b if isinstance(b, Judged) else diagnose(_runs(b), **options) for b in baselines]
    chosen = named_metric(diagnosis.timeline, metric)
    return replace(diagnosis, baseline=hold_against(diagnosis, good, metric=chosen, min_effect=min_effect))


def against_checkpoints(study: Study, baseline: str, data: str | Path | None, **options: Any) -> Study:
    """The study, with how its best checkpoint compares with the baseline's best, paired on the same examples.

    Args:
        study: of the new training's checkpoints.
        baseline: repository, clone, folder or single checkpoint of the earlier training.
        data: the examples that the study was made on.
        options: as :func:`runscope.evaluate` was given them for the study.

    Raises:
        InputError, ServiceError: as :func:`runscope.evaluate` does.
    """
    from runscope.evaluation.trainings.against import against

    return replace(study, baseline=against(study, evaluate(baseline, data, **options), baseline))


def against_scores(study: Study, baseline: Sequence[str | Path], **options: Any) -> Study:
    """The same for results that are there already.

    Args:
        study: of the new results.
        baseline: files of the earlier ones, with the same names of examples.
        options: as :func:`runscope.evaluation.given.judge_files` was given them for the study.
    """
    from runscope.evaluation.given import judge_files
    from runscope.evaluation.trainings.against import against

    return replace(
        study, baseline=against(study, judge_files(baseline, **options), " ".join(map(str, baseline)))
    )


def evaluate_seeds(groups: Sequence[Sequence[str]], data: str | Path | None = None, **options: Any) -> Seeds:
    """Trainings that differ by their seed, in one group or two: mean and spread, and whether the first is worse.

    Args:
        groups: repositories, clones or folders of each group.
        data: held-out examples, the same for all.
        options: as :func:`runscope.evaluate` takes them.

    Raises:
        InputError, ServiceError: as :func:`runscope.evaluate` does.
    """
    from runscope.evaluation.trainings.seeds import compare_seeds

    return compare_seeds([[(name, evaluate(name, data, **options)) for name in group] for group in groups])


def _runs(reference: Any) -> Any:
    from runscope.api.recipe import parts

    return parts(reference) if isinstance(reference, str) else reference
