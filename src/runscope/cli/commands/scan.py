"""``runscope scan``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from runscope.cli import ci
from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress

if TYPE_CHECKING:
    from runscope.survey.survey import Survey


PART = 1000
"""Trainings in one Parquet file of several."""


class Need(StrEnum):
    """From which need on the exit status is 1."""

    never = "never"
    look = "look"
    act = "act"


class Launch(StrEnum):
    """Where the work is done."""

    local = "local"
    ray = "ray"


def scan(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="WHERE...",
            help="Folders of any depth, trackers' databases, W&B projects (entity/project, wandb://entity), Hub users (hf://user).",
        ),
    ],
    format: Annotated[
        opt.ScanFormat, typer.Option("--format", "-f", help="What to print.")
    ] = opt.ScanFormat.text,
    output: opt.OutputOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="DATE|7d",
            help="Only trainings that ended since a date, or within a time such as 7d.",
        ),
    ] = None,
    all: Annotated[
        bool, typer.Option("--all", help="Show every training that needs a look, not the first 40.")
    ] = False,
    new: Annotated[
        bool,
        typer.Option(
            "--new", help="Count only trainings that are new or changed since the last scan for --fail-on."
        ),
    ] = False,
    fail_on: Annotated[
        Need, typer.Option("--fail-on", help="Exit with 1 if a training needs this much.")
    ] = Need.never,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", metavar="N", help="Number of workers (default: one per core)."),
    ] = None,
    launch: Annotated[
        Launch,
        typer.Option("--launch", help="Processes of this machine, or tasks on the Ray cluster at hand."),
    ] = Launch.local,
    remember: Annotated[
        bool, typer.Option("--remember/--forget", help="Read only what changed since the last scan.")
    ] = True,
    reports: Annotated[
        Path | None,
        typer.Option(
            "--reports", metavar="FOLDER", help="Write the report of each training there, and link it."
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            "--webhook", metavar="URL", help="Send the summary there as JSON when a training needs a look."
        ),
    ] = None,
    refresh: opt.RefreshOption = False,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> int:
    """Look at many trainings at once: which need a look, which belong together, what did they cost, what is new.

    Finds every run below the places, joins resumed ones, judges each training as diagnose does, and remembers it:
    the next scan reads only what changed.

    Examples:

      runscope scan outputs/ --output scan.html

      runscope scan me/pricer /data/runs --since 7d --fail-on act
    """
    from runscope import api
    from runscope.watching.hooks import check_address

    if webhook:
        check_address(webhook)
    with progress(quiet) as update:
        survey = api.scan(
            places,
            jobs=jobs,
            launch=launch.value,
            since=since,
            remember=remember,
            refresh=refresh,
            progress=update,
        )
    out.notes(survey.notes, quiet=quiet)
    written: Mapping[int, Path] = {}
    if reports is not None:
        with progress(quiet) as update:
            written, failed = api.write_reports(survey, reports, jobs=jobs, progress=update)
        out.notes(failed, quiet=quiet)
        out.note(f"wrote {len(written):,} reports to {reports}", quiet=quiet)
    _show(survey, format, output, all, quiet, fail_on, written)
    worst = _worst(survey, new)
    if webhook and worst is not Need.never:
        _send(webhook, survey)
    reached = worst is Need.act if fail_on is Need.act else worst is not Need.never
    return 1 if fail_on is not Need.never and reached else 0


def _show(
    survey: Survey,
    format: opt.ScanFormat,
    output: Path | None,
    all: bool,
    quiet: bool,
    fail_on: Need,
    written: Mapping[int, Path],
) -> None:
    from runscope import reporting as page

    most = len(survey.cards) if all else page.SURVEY_ROWS
    if output is not None and output.suffix.lower() in ci.ENDINGS:
        ci.save_checked(page.cards_checked(survey.cards, fail_on.value), output, quiet=quiet)
    elif output is not None and not output.suffix:
        _save_parts(survey, output, quiet)
    elif output is not None:
        out.save(output, _forms(survey, _links(written, output)), quiet=quiet)
    elif format in (opt.ScanFormat.sarif, opt.ScanFormat.junit):
        ci.print_checked(page.cards_checked(survey.cards, fail_on.value), format.value)
    elif format is opt.ScanFormat.json:
        out.print_json(page.survey_json(survey))
    elif format is opt.ScanFormat.jsonl:
        for row in page.survey_rows(survey):
            out.print_json(row, line=True)
    elif format is opt.ScanFormat.markdown:
        out.print_text(page.markdown_survey(survey, most=most) + "\n")
    elif format is opt.ScanFormat.brief:
        from runscope.reporting.text.brief import brief_survey

        out.print_text(brief_survey(survey) + "\n")
    else:
        page.print_survey(out.stdout(), survey, most=most)


def _links(written: Mapping[int, Path], output: Path) -> dict[int, str]:
    """Addresses of reports as a page beside them names them."""
    beside = output.absolute().parent
    return {
        number: quote(os.path.relpath(path.absolute(), beside).replace(os.sep, "/"))
        for number, path in written.items()
    }


def _save_parts(survey: Survey, folder: Path, quiet: bool) -> None:
    """The table in several Parquet files of one schema: a folder that DuckDB and Spark read as one table.

    Raises:
        StoreError: it cannot be written.
    """
    from runscope.errors import StoreError
    from runscope.history.axes import write_parts

    try:
        write_parts(survey.to_pandas(), folder, PART)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written: {error.strerror}", hint="choose another place with --output"
        ) from error
    out.note(f"wrote {folder}", quiet=quiet)


def _forms(survey: Survey, links: Mapping[int, str]) -> Mapping[str, Callable[[Path], object]]:
    from runscope import reporting as page

    return {
        **out.table_forms(survey.to_pandas),
        **out.json_form(lambda: page.survey_json(survey)),
        ".md": lambda path: path.write_text(page.markdown_survey(survey) + "\n", encoding="utf-8"),
        ".html": lambda path: path.write_text(page.survey_page(survey, links), encoding="utf-8"),
        ".jsonl": lambda path: path.write_text(
            "".join(out.as_json(row, line=True) for row in page.survey_rows(survey)), encoding="utf-8"
        ),
    }


def _worst(survey: Survey, new: bool) -> Need:
    """The most that any training needs; of all, or of those that are news."""
    looked = [survey.cards[i] for i in survey.new] if new and not survey.first else survey.cards
    needs = {card.need for card in looked}
    return Need.act if "act" in needs else Need.look if needs & {"look", "unreadable"} else Need.never


def _send(url: str, survey: Survey) -> None:
    """The summary to a chat or a phone; what went wrong is said and stops nothing."""
    from runscope.reporting.text.survey import summary
    from runscope.watching.hooks import post

    text = "\n".join(summary(survey))
    problem = post(
        url, {"text": text, "content": text, "counts": survey.needs, "places": list(survey.places)}
    )
    if problem:
        out.notes([problem])
