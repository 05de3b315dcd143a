"""``runscope diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runscope.cli import ci
from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.joining import join
from runscope.cli.progress import progress
from runscope.errors import RunscopeError, SeveralRuns, UsageError

if TYPE_CHECKING:
    from runscope.reporting.ci.checked import Checked
    from runscope.verdict.types import Diagnosis

PICTURES = (opt.DiagnoseFormat.png, opt.DiagnoseFormat.svg, opt.DiagnoseFormat.card)
FOR_CI = (opt.DiagnoseFormat.sarif, opt.DiagnoseFormat.junit)


def diagnose(
    runs: opt.RunsArgument,
    each: Annotated[
        bool, typer.Option("--each", help="Take every RUN on its own instead of stitching them.")
    ] = False,
    format: Annotated[
        opt.DiagnoseFormat,
        typer.Option(
            "--format",
            "-f",
            help="What to print: slack and chat are for messages; a picture goes into a pipe.",
        ),
    ] = opt.DiagnoseFormat.text,
    output: opt.OutputOption = None,
    fail_on: opt.FailOnOption = opt.FailOn.never,
    baseline: opt.BaselineOption = None,
    min_effect: Annotated[
        float | None,
        typer.Option(
            "--min-effect",
            metavar="X",
            min=0,
            help="With --baseline: smallest difference that matters, in units of the metric (default: 3% of its level, "
            "or 2 points of a score between 0 and 1).",
        ),
    ] = None,
    hub: opt.HubOption = None,
    at: opt.AtOption = None,
    force: opt.ForceOption = False,
    scale: opt.ScaleOption = None,
    ignore: opt.IgnoreOption = None,
    map: opt.MapOption = None,
    metric: opt.MetricOption = None,
    verbose: opt.VerboseOption = False,
    project: opt.ProjectOption = None,
    refresh: opt.RefreshOption = False,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> int:
    """Read the curves and say what happened: overfitting, gradients, spikes, schedule.

    Several runs are stitched first; --each takes them one by one.

    Examples:

      runscope diagnose me/pricer/2x9f1k3a me/pricer/7c0d1e2f --hub me/pricer-2024-09-13

      runscope diagnose output/checkpoint-500 --fail-on critical --format markdown

      runscope diagnose output --baseline last-good/trainer_state.json
    """
    options = {
        "ignore": opt.ignored_roles(ignore),
        "roles": opt.role_map(map),
        "metric": metric or opt.role_map(map).get("eval_metric"),
        "project": project,
        "refresh": refresh,
    }
    if min_effect is not None and not baseline:
        raise UsageError("--min-effect says what matters beside a baseline", hint="name it: --baseline RUN")
    if each:
        _check_each(format, output, baseline)
        return _each(runs, format, fail_on, options, quiet=quiet, verbose=verbose)
    from runscope import api

    with progress(quiet) as update:
        line = _line(runs, options, at=at, force=force, scale=scale, hub=hub, progress=update)
        diagnosis = api.diagnose(line, hub=hub, **_judging(options))
        if baseline:
            how: dict[str, Any] = {name: options[name] for name in ("ignore", "roles", "metric", "project")}
            diagnosis = api.against_runs(diagnosis, baseline, min_effect=min_effect, progress=update, **how)
    if output:
        _save(diagnosis, runs, output, format, quiet, fail_on)
    elif format in FOR_CI:
        ci.print_checked([_checked(diagnosis, runs, fail_on)], format)
    else:
        _print(diagnosis, " ".join(runs), format, verbose=verbose)
    return _status(diagnosis, fail_on)


def _check_each(format: opt.DiagnoseFormat, output: Path | None, baseline: list[str] | None) -> None:
    """Refuse what is not for many runs.

    Raises:
        UsageError: it was asked for.
    """
    if format in PICTURES:
        raise UsageError("--each prints no pictures", hint="draw one run at a time: --output curve.png")
    if output:
        raise UsageError(
            "--each prints, it writes no file", hint="redirect it: --each --format jsonl > runs.jsonl"
        )
    if baseline:
        raise UsageError("--each holds no run against a baseline", hint="leave one of them out")


def _checked(diagnosis: Diagnosis, runs: list[str], fail_on: opt.FailOn) -> Checked:
    from runscope.reporting import diagnosis_checked

    return diagnosis_checked(diagnosis, runs, fail_on.value)


def _judging(options: dict[str, Any]) -> dict[str, Any]:
    return {"ignore": options["ignore"], "metric": options["metric"]}


def _line(
    runs: list[str],
    options: dict[str, Any],
    *,
    at: Any,
    force: bool,
    scale: Any,
    hub: str | None,
    progress: Any,
) -> Any:
    from runscope import api
    from runscope.api import require_joined

    loading = {k: v for k, v in options.items() if k not in ("ignore", "metric")} | {"progress": progress}
    if len(runs) == 1:
        return api.load(runs[0], **loading)
    line = join(runs, at=at, force=force, scale=scale, hub=hub, **loading)
    return line if force or at else require_joined(line)


def _each(
    runs: list[str],
    format: opt.DiagnoseFormat,
    fail_on: opt.FailOn,
    options: dict[str, Any],
    *,
    quiet: bool,
    verbose: bool,
) -> int:
    """One answer a run, in order; a run that cannot be read gets its error and the others go on."""
    from runscope import api

    worst = 0
    # What is one document for all: it is printed at the end.
    answers: list[Any] | None = [] if format in (opt.DiagnoseFormat.json, *FOR_CI) else None
    waiting = list(runs)
    with progress(quiet) as update:
        for number, reference in enumerate(waiting):
            update("runs", number, len(waiting))
            try:
                diagnosis = api.diagnose(reference, **options)
            except SeveralRuns as place:  # all that it holds come next, each on its own
                waiting[number + 1 : number + 1] = place.references
                continue
            except RunscopeError as error:
                worst = 2
                _print_error(reference, error, format, answers)
                continue
            worst = max(worst, _status(diagnosis, fail_on))
            if answers is not None and format in FOR_CI:
                answers.append(_checked(diagnosis, [reference], fail_on))
            elif answers is not None:
                answers.append(_answer(diagnosis, reference))
            else:
                _print_title(reference, format, first=number == 0)
                _print(diagnosis, reference, format, verbose=verbose)
    if format in FOR_CI:
        ci.print_checked(answers or [], format)
    elif answers is not None:
        out.print_json(answers)
    return worst


def _answer(diagnosis: Diagnosis, reference: str) -> dict[str, Any]:
    from runscope.reporting import diagnosis_json

    return diagnosis_json(diagnosis, reference)


def _print_title(reference: str, format: opt.DiagnoseFormat, *, first: bool) -> None:
    """Which run the next lines are about, where the form does not hold it."""
    if format is opt.DiagnoseFormat.text:
        from rich.text import Text

        out.stdout().print(Text(f"{'' if first else chr(10)}{reference}", style="underline"))
    elif format is opt.DiagnoseFormat.markdown:
        from runscope.reporting.text.escaping import escape

        out.print_text(f"{'' if first else chr(10)}## {escape(reference)}\n\n")


def _print_error(
    reference: str, error: RunscopeError, format: opt.DiagnoseFormat, answers: list[Any] | None
) -> None:
    from runscope.reporting import DIAGNOSIS_SCHEMA, error_checked

    answer = {"schema": DIAGNOSIS_SCHEMA, "run": reference, "error": error.message, "hint": error.hint}
    if answers is not None:
        answers.append(error_checked(reference, error) if format in FOR_CI else answer)
    elif format is opt.DiagnoseFormat.jsonl:
        out.print_json(answer, line=True)
    out.note(f"error: {reference}: {error.message}")
    out.note(f"hint: {error.hint}")


def _print(
    diagnosis: Diagnosis, reference: str, format: opt.DiagnoseFormat, *, verbose: bool = False
) -> None:
    from runscope import reporting as page

    if format in (opt.DiagnoseFormat.json, opt.DiagnoseFormat.jsonl):
        out.print_json(page.diagnosis_json(diagnosis, reference), line=format is opt.DiagnoseFormat.jsonl)
    elif format is opt.DiagnoseFormat.markdown:
        out.print_text(page.markdown(diagnosis, verbose=verbose) + "\n")
    elif format is opt.DiagnoseFormat.brief:
        from runscope.reporting.text.brief import brief_diagnosis

        out.print_text(brief_diagnosis(diagnosis) + "\n")
    elif format in (opt.DiagnoseFormat.slack, opt.DiagnoseFormat.chat):
        from runscope.reporting.text.chat import MARKDOWN, SLACK, chat

        out.print_text(chat(diagnosis, SLACK if format is opt.DiagnoseFormat.slack else MARKDOWN) + "\n")
    elif format in PICTURES:
        out.print_bytes(format, lambda path: page.write(diagnosis, path, form=format))
    else:
        page.print_diagnosis(out.stdout(), diagnosis, verbose=verbose)


def _save(
    diagnosis: Diagnosis,
    runs: list[str],
    path: Path,
    format: opt.DiagnoseFormat,
    quiet: bool,
    fail_on: opt.FailOn,
) -> None:
    """Write a file; its ending picks the form, but for those that share an ending with another one."""
    from runscope import reporting as page

    form = {".png": "card", ".md": "chat"}.get(path.suffix.lower())
    form = form if format == form else None

    if path.suffix.lower() in ci.ENDINGS:
        return ci.save_checked([_checked(diagnosis, runs, fail_on)], path, quiet=quiet)
    pages = dict.fromkeys(
        (".html", ".png", ".svg", ".md"), lambda file: page.write(diagnosis, file, form=form)
    )
    forms = out.table_forms(lambda: diagnosis.timeline.to_pandas())
    data = out.json_form(lambda: page.diagnosis_json(diagnosis, " ".join(runs)))
    out.save(path, pages | forms | data, quiet=quiet)
    if diagnosis.baseline is not None:
        out.note(diagnosis.baseline.headline, quiet=quiet)
    return None


def _status(diagnosis: Diagnosis, fail_on: opt.FailOn) -> int:
    return ci.status(diagnosis.findings, fail_on, diagnosis.baseline)
