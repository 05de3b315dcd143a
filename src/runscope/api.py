"""The verbs behind the public names: each takes references or what an earlier verb gave back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runscope.display import draw_with
from runscope.errors import NotJoinable, StoreError, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from runscope.evaluation.plan import Plan
    from runscope.evaluation.study import Study
    from runscope.history import Run, Timeline
    from runscope.hub import Inventory
    from runscope.hub.checkpoint import Checkpoint
    from runscope.hub.pairing import Match, RepoFacts
    from runscope.recipe import Recipe
    from runscope.sources.wandb_cloud_pull import Pulled
    from runscope.sources.wandb_push import Pushed
    from runscope.verdict import Comparison
    from runscope.verdict.types import Diagnosis

Progress = Callable[[str, int, int | None], None]
"""Called with a label, how much is done, and how much there is (None where unknown)."""

ASK_BELOW = 0.5
"""A join less sure than this is not made unasked: it is likelier wrong than right."""


def load(
    reference: str | Path,
    *,
    project: str | None = None,
    roles: Mapping[str, str | None] | None = None,
    refresh: bool = False,
    keep: bool = True,
    progress: Progress | None = None,
) -> Run:
    """Read one run, in whatever form it is named.

    Args:
        reference: a W&B path, URL or name; an offline W&B folder or file; a Trainer folder; a Hub
            repository (``hf://…``); a TensorBoard folder; a table.
        project: W&B ``entity/project`` that bare names and ids are looked up in.
        roles: role → logged name, or None to hide a role; overrides what was recognised.
        refresh: fetch again although the store has it.
        keep: keep a run that was fetched in the store, and look there first.
        progress: called while a long read goes on.

    Raises:
        UnknownReference: nothing has that name.
        UnreadableRun: it is there, but holds no run.
        ServiceError: a service refused or could not be reached.
    """
    from runscope.sources import LoadContext
    from runscope.sources import load as read
    from runscope.store import RunStore

    store = RunStore() if keep else None
    context = LoadContext(project=project, refresh=refresh, progress=progress, store=store)
    return _mapped(read(reference, context=context), roles)


def pull(
    project: str,
    *,
    states: Sequence[str] = (),
    tags: Sequence[str] = (),
    group: str | None = None,
    name: str | None = None,
    since: str | None = None,
    refresh: bool = False,
    progress: Progress | None = None,
) -> Pulled:
    """Bring the runs of a W&B project into the store: new ones whole, of those that went on the new rows.

    Args:
        project: ``entity/project``, ``project`` or the address of its page.
        states: only runs in one of these states.
        tags: only runs that have all of these.
        group: only runs of this group.
        name: only runs whose display name or id fits this pattern (``*``, ``?``).
        since: only runs created since: ``2026-11-01``, or ``7d`` ago.
        refresh: fetch everything again.
        progress: called while it works.

    Raises:
        ServiceError: the service refused; what was finished is kept, and the next call goes on from there.
        StoreError: the store cannot be written.
    """
    from runscope.sources import LoadContext, wandb_cloud_pull
    from runscope.store import RunStore

    filters = wandb_cloud_pull.Filters(
        wandb_cloud_pull.checked_states(states), tuple(tags), group, name,
        wandb_cloud_pull.since(since) if since else None,
    )  # fmt: skip
    context = LoadContext(refresh=refresh, progress=progress, store=RunStore())
    return wandb_cloud_pull.pull(project, filters, context)


def stitch(
    runs: Sequence[str | Path | Run],
    *,
    at: Sequence[int] | None = None,
    force: bool = False,
    scale: Sequence[float] | None = None,
    checkpoints: Sequence[Checkpoint] = (),
    **load_options: Any,
) -> Timeline:
    """Find which run continues which and from what step, and join them on one axis.

    Args:
        runs: references or loaded runs, in any order.
        at: continuous start step of each run after the first, decided by hand.
        force: join runs even where nothing says that they belong together.
        scale: steps of the line per own step, for each run after the first.
        checkpoints: saved checkpoints: a run can only start from one of them.
        load_options: passed to :func:`load`.

    Returns:
        The line. A run that continues nothing has ``continues=False``; see :func:`require_joined`.
    """
    from runscope.stitching import stitch as join

    return join(
        [_run(r, **load_options) for r in runs], checkpoints=checkpoints, at=at, force=force, scale=scale
    )


def require_joined(line: Timeline) -> Timeline:
    """Return the line.

    Raises:
        NotJoinable: a join is refused, or too unsure to be made unasked.
    """
    for segment in line.segments:
        if not segment.continues:
            raise NotJoinable(
                f"{segment.run.name} continues none of the other runs"
                + (f": {segment.evidence[0]}" if segment.evidence else ""),
                hint="say where it joins with --at STEP, join it all the same with --force, or leave it out",
            )
        if segment.confidence < ASK_BELOW:
            others = ", ".join(f"{a.offset} ({a.confidence:.0%})" for a in segment.alternatives[:3])
            raise NotJoinable(
                f"{segment.run.name} most likely continues from step {segment.joined_at}, but that is only "
                f"{segment.confidence:.0%} sure" + (f"; else from {others}" if others else ""),
                hint=f"decide with --at {segment.joined_at}, or take the likeliest with --force",
            )
    return line


def push(
    what: Timeline | Run | str | Path | Sequence[str | Path | Run],
    *,
    to: str | None = None,
    name: str | None = None,
    offline: str | Path | None = None,
    progress: Progress | None = None,
    **load_options: Any,
) -> Pushed:
    """Write a stitched line back to W&B as one run; written twice it is there once.

    Args:
        what: a line, or what is stitched into one.
        to: W&B ``entity/project``; that of the first run where not given.
        name: display name of the new run.
        offline: write an offline run into this folder instead of sending it.
        progress: called while rows are written.
        load_options: passed to :func:`load`.

    Raises:
        NotJoinable: the runs do not belong together, or nothing says where they join.
        ServiceError: W&B refused, or could not be reached.
        StoreError: the folder cannot be written.
    """
    from runscope.sources.wandb_push import push as write

    folder = None if offline is None else Path(offline)
    line = _line(what, progress=progress, **load_options)
    return write(line, project=to, name=name, offline=folder, progress=progress)


def diagnose(
    what: str | Path | Run | Timeline | Sequence[str | Path | Run],
    *,
    hub: str | None = None,
    checkpoints: Sequence[Checkpoint] | None = None,
    study: Study | None = None,
    ignore: Iterable[str] = (),
    roles: Mapping[str, str | None] | None = None,
    **load_options: Any,
) -> Diagnosis:
    """Read the curves of a line (several runs are stitched first) and say what happened.

    Args:
        what: a reference, a run, several of either, or a line.
        hub: Hub repository (or clone, or folder) whose checkpoints belong to the line.
        checkpoints: checkpoints that were listed before; read from ``hub`` otherwise.
        study: evaluated checkpoints, from :func:`evaluate`.
        ignore: roles to hide, e.g. ``eval_loss``.
        roles: role → logged name.
    """
    from runscope.rules import View
    from runscope.verdict import diagnose as judge

    line = _line(what, **load_options).with_roles({**(roles or {}), **dict.fromkeys(ignore)})
    saved = tuple(checkpoints or ()) or (_checkpoints(hub, line=line) if hub else ())
    if study is not None:
        from runscope.evaluation import as_series

        line = line.with_extra(as_series(study))
        saved = saved or tuple(s.checkpoint for s in study.scores)
    return judge(View(line, saved), study)


def checkpoints(
    reference: str,
    *,
    line: Timeline | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> tuple[Checkpoint, ...]:
    """List the saved states of a Hub repository, a local clone of one, or a folder with ``checkpoint-*``.

    Args:
        reference: repository id, ``hf://…``, or a path.
        line: places each checkpoint on its continuous axis.
        endpoint: another Hub host.
        progress: called while commits are read.
    """
    return inventory(reference, line=line, endpoint=endpoint, progress=progress).listing.checkpoints


def inventory(
    reference: str,
    *,
    line: Timeline | None = None,
    runs: Sequence[str | Path | Run] = (),
    base: str | Path | None = None,
    norms: bool = False,
    endpoint: str | None = None,
    project: str | None = None,
    progress: Progress | None = None,
) -> Inventory:
    """What :func:`checkpoints` gives, and with it adapters, norms, the runs that made them, and what is odd.

    Args:
        reference: repository id, ``hf://…``, or a path.
        line: places each checkpoint on its continuous axis; made from ``runs`` where it is not given.
        runs: the runs that made it, or places (a folder, a W&B project) to find them in.
        base: the base model to take the shapes of adapters from, where it is not the one that they name.
        norms: fetch adapters that are not on this disk to read the norms of their matrices.
        endpoint: another Hub host.
        project: W&B ``entity/project`` that bare names and ids are looked up in.
        progress: called while things are read.
    """
    from dataclasses import replace

    from runscope.hub import take_inventory
    from runscope.hub.pairing import PAIRED
    from runscope.hub.placing import place

    named, found = _candidates(runs, project=project, progress=progress)
    stock = take_inventory(
        reference,
        line=line,
        runs=(*named, *found),
        base=base,
        norms=norms,
        endpoint=endpoint,
        progress=progress,
    )
    own = named or [m.run for m in stock.matches if m.score >= PAIRED]
    if line is not None or not own:
        return stock
    try:
        joined = _line(own, checkpoints=stock.listing.checkpoints)
    except NotJoinable:
        if named:
            raise
        joined = _line(own[0])  # of several that were found, the likeliest
    placed = place(stock.listing.checkpoints, joined)
    return replace(stock, listing=replace(stock.listing, checkpoints=placed))


def repositories(
    user: str,
    *,
    name: str | None = None,
    runs: Sequence[str | Path | Run] = (),
    endpoint: str | None = None,
    project: str | None = None,
    progress: Progress | None = None,
) -> list[tuple[RepoFacts, tuple[Match, ...]]]:
    """A person's model repositories, each with the runs that may have made it, likeliest first.

    Args:
        user: Hub account or organisation.
        name: part of the name, or a pattern with ``*``.
        runs: candidates, or places (a folder, a W&B project) that hold them.
        endpoint: another Hub host.
        project: W&B ``entity/project`` that bare names and ids are looked up in.
        progress: called while runs are read.
    """
    from runscope.hub.pairing import list_repositories, pair

    found = list_repositories(user, name=name, endpoint=endpoint)
    named, held = _candidates(runs, project=project, progress=progress)
    return [(r, pair(r.name, (r.created_at, r.changed_at), (*named, *held))) for r in found]


def _candidates(
    runs: Sequence[str | Path | Run], *, project: str | None, progress: Progress | None
) -> tuple[list[Run], list[Run]]:
    """Runs that were named, and runs that lie in the places that were named."""
    from runscope.errors import NotFound, RunscopeError, UnknownReference

    named: list[Run] = []
    held: list[Run] = []
    for reference in runs:
        try:
            named.append(_run(reference, project=project, progress=progress))
        except (UnknownReference, NotFound) as error:
            try:
                inside = _inside(str(reference), progress)
            except RunscopeError:
                raise error from None
            for number, one in enumerate(inside):
                if progress is not None:
                    progress("runs", number, len(inside))
                held.append(load(one, project=project))
    return named, held


_checkpoints = checkpoints  # ``diagnose`` has an argument of the same name


def _inside(place: str, progress: Progress | None) -> Sequence[str]:
    """References of the runs in a folder or in a W&B project."""
    from runscope.sources import list_references

    if Path(place).expanduser().exists() or "/" not in place:
        return list_references(place)
    return [run.reference for run in pull(place, progress=progress).runs if run.error is None]


def evaluate(
    what: str | Sequence[Checkpoint],
    data: str | Path,
    *,
    line: Timeline | None = None,
    train_data: str | Path | None = None,
    base: str | Path | None = None,
    keep_results: bool = True,
    progress: Progress | None = None,
    **settings: Any,
) -> Study:
    """Evaluate checkpoints on held-out examples and say whether later ones are really worse.

    Args:
        what: Hub repository, clone, folder, or checkpoints from :func:`checkpoints`.
        data: held-out examples: JSON lines, CSV, Parquet or a Hub data set, with ``prompt`` and ``completion``.
        line: the stitched line; its diagnosis says around which step to look first.
        train_data: training examples, for the generalisation gap and memorising.
        base: the base model of adapters, where their configuration does not name one that can be loaded.
        keep_results: remember every example's result on disk, so that no call repeats it.
        settings: fields of :class:`runscope.evaluation.EvaluateSettings`.

    Raises:
        InputError: no checkpoint, unusable examples, a base model that cannot be loaded.
        MissingExtra: torch, transformers or peft is not installed.
    """
    from functools import partial

    from runscope.evaluation import EvaluateSettings
    from runscope.evaluation import evaluate as study_of
    from runscope.hub import fetch
    from runscope.store import ResultTable

    chosen = EvaluateSettings(**settings)
    saved = checkpoints(what, line=line, progress=progress) if isinstance(what, str) else tuple(what)
    return study_of(
        saved,
        data,
        fetch=partial(fetch, allow_pickle=chosen.allow_pickle),
        train_data=train_data,
        base=base,
        settings=chosen,
        focus=_focus(line),
        results=ResultTable() if keep_results else None,
        progress=progress,
    )


def plan_evaluation(
    what: str | Sequence[Checkpoint],
    data: str | Path,
    *,
    line: Timeline | None = None,
    train_data: str | Path | None = None,
    base: str | Path | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Plan:
    """What :func:`evaluate` would run, download and need in memory, with the same arguments; nothing is loaded.

    Raises:
        InputError: no checkpoint, or unusable examples.
    """
    from runscope.evaluation import EvaluateSettings
    from runscope.evaluation.plan import plan
    from runscope.store import ResultTable

    saved = checkpoints(what, line=line, progress=progress) if isinstance(what, str) else tuple(what)
    return plan(
        saved, data, train_data=train_data, base=base, settings=EvaluateSettings(**settings),
        focus=_focus(line), results=ResultTable(),
    )  # fmt: skip


def investigate(
    runs: Sequence[str | Path | Run],
    *,
    hub: str | None = None,
    data: str | Path | None = None,
    train_data: str | Path | None = None,
    base: str | Path | None = None,
    at: Sequence[int] | None = None,
    force: bool = False,
    scale: Sequence[float] | None = None,
    ignore: Iterable[str] = (),
    roles: Mapping[str, str | None] | None = None,
    project: str | None = None,
    keep_results: bool = True,
    progress: Progress | None = None,
    **settings: Any,
) -> Diagnosis:
    """All verbs in a row: stitch the runs, read the curves, evaluate the checkpoints, judge.

    Without ``hub`` no checkpoints are listed; without ``data`` none is evaluated. The other arguments are
    those of :func:`stitch`, :func:`diagnose` and :func:`evaluate`.
    """
    listed = checkpoints(hub, progress=progress) if hub else ()
    joined = stitch(
        runs, at=at, force=force, scale=scale, checkpoints=listed, project=project, progress=progress
    )
    line = joined if force or at else require_joined(joined)
    line = line.with_roles({**(roles or {}), **dict.fromkeys(ignore)})
    if listed:
        from runscope.hub import place

        listed = place(listed, line)
    if data is None:
        return diagnose(line, checkpoints=listed)
    if not listed:
        raise UsageError(
            "there is no checkpoint to evaluate", hint="name the repository that holds them: --hub REPO"
        )
    study = evaluate(
        listed, data, line=line, train_data=train_data, base=base, keep_results=keep_results,
        progress=progress, **settings,
    )  # fmt: skip
    from runscope.hub import weigh

    weighed, _ = weigh(listed)  # what was fetched for the evaluation is on this disk now
    return diagnose(line, checkpoints=weighed, study=study)


def compare(
    trainings: Sequence[str | Path | Run | Timeline | Diagnosis | Sequence[str | Path | Run]], **options: Any
) -> Comparison:
    """Set trainings side by side: which is better, how sure that is, and what cannot be told.

    Args:
        trainings: two or more, each what :func:`diagnose` takes, or a diagnosis.
        options: passed to :func:`diagnose`.

    Raises:
        UsageError: there are fewer than two.
    """
    from runscope.verdict import Diagnosis
    from runscope.verdict import compare as side_by_side

    if len(trainings) < 2:
        raise UsageError(
            "a comparison needs two trainings", hint="name another one; A+B is one training of two runs"
        )
    return side_by_side([t if isinstance(t, Diagnosis) else diagnose(t, **options) for t in trainings])


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
        form: ``html``, ``png``, ``svg``, ``markdown``, ``json``, whatever the ending.
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

    from runscope.recipe import inputs
    from runscope.verdict import Diagnosis

    diagnoses = [found] if isinstance(found, Diagnosis) else [c.diagnosis for c in found.contenders]
    studies = [d.study for d in diagnoses if d.study is not None]
    packages = ("runscope", "numpy", "scipy", *(("torch", "transformers", "peft") if studies else ()))
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": recipe.command(),
        "inputs": [one for d in diagnoses for one in inputs(recipe, d)],
        "settings": recipe.shown_settings() | (dict(studies[0].settings) if studies else {}),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
    }


def _focus(line: Timeline | None) -> tuple[int | None, int | None]:
    """Best and onset step that the curves suggest: where evaluation looks first."""
    if line is None:
        return (None, None)
    suspicion = diagnose(line).verdict.overfitting
    return (suspicion.best_step, suspicion.onset_step)


def _run(what: str | Path | Run, **options: Any) -> Run:
    if isinstance(what, str | Path):
        return load(what, **options)
    return _mapped(what, options.get("roles"))


def _mapped(run: Run, roles: Mapping[str, str | None] | None) -> Run:
    for role, name in (roles or {}).items():
        if name is not None and name not in run.series:
            from runscope.errors import MissingMetric, nearest

            close = nearest(name, run.series)
            raise MissingMetric(
                f"{run.name} has no metric {name!r} for the role {role}",
                hint=f"did you mean {close!r}?"
                if close
                else f"runscope show {run.reference} lists its metrics",
            )
    return run.with_roles(roles) if roles else run


def _line(what: str | Path | Run | Timeline | Sequence[str | Path | Run], **options: Any) -> Timeline:
    from runscope.history import Run, Timeline

    if isinstance(what, Timeline):
        return what
    if isinstance(what, str | Path | Run):
        what = [what]
    if len(what) == 1:
        return Timeline.of(_run(what[0], **options))
    return require_joined(stitch(what, **options))


def find_trainings(
    place: str, *, project: str | None = None, refresh: bool = False, progress: Progress | None = None
) -> tuple[list[list[Run]], dict[str, str]]:
    """Propose which of many runs belong together: those of a W&B project, or of a folder of runs.

    The runs of a W&B project are pulled into the store first.

    Returns:
        The trainings, each a list of runs in order; and what could not be read, with the reason.
    """
    from runscope.errors import InputError, NotSignedIn, TooManyRequests, Unreachable
    from runscope.sources import LoadContext, list_references
    from runscope.sources import load as read
    from runscope.sources.wandb_cloud_pull import kept_runs
    from runscope.stitching import find
    from runscope.store import RunStore

    folder = Path(place).expanduser().is_dir()
    context = LoadContext(project=project, store=RunStore(), ask=folder)
    failed: dict[str, str] = {}
    if folder:
        references = list_references(place)
    else:
        try:
            pulled = pull(place, refresh=refresh, progress=progress).runs
            references = [run.reference for run in pulled if run.error is None]
            failed = {run.reference: run.error for run in pulled if run.error is not None}
        except (NotSignedIn, TooManyRequests, Unreachable) as error:
            references = kept_runs(place, context)
            if not references:
                raise
            failed[place] = f"{error.message}; these are its runs as they were kept"
    runs = []
    for number, reference in enumerate(references):
        if progress is not None:
            progress("runs", number, len(references))
        try:
            runs.append(read(reference, context=context))
        except InputError as error:
            failed[reference] = error.message
    return find(runs), failed


class _Artist:
    """Draws for notebooks; what it needs is loaded when something is drawn."""

    def html(self, what: Any) -> str:
        from runscope.reporting.notebook import html

        return html(what)

    def plot(self, what: Any, axes: Axes | None) -> Axes:
        from runscope.reporting.notebook import plot

        return plot(what, axes)


draw_with(_Artist())
