"""``runscope evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress

if TYPE_CHECKING:
    from runscope.history import Timeline


def evaluate(
    repo: Annotated[
        str, typer.Argument(metavar="REPO", help="Hub repository, local clone of one, or folder.")
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Held-out examples: JSON lines, CSV or Parquet with prompt and completion.",
        ),
    ],
    train_data: opt.TrainDataOption = None,
    base: opt.BaseOption = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="The run (or runs) that saved them: says around which step to look first.",
        ),
    ] = None,
    task: Annotated[
        str, typer.Option("--task", help="What to measure: loss, or a task of your own as module:function.")
    ] = "loss",
    full: Annotated[
        bool, typer.Option("--full", help="Every checkpoint on every example, no early dropping.")
    ] = False,
    min_effect: Annotated[
        float | None, typer.Option("--min-effect", metavar="NATS", help="Smallest difference that matters.")
    ] = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Tell what would be run, downloaded and needed in memory; do nothing."),
    ] = False,
    format: opt.FormatOption = opt.Format.text,
    output: opt.OutputOption = None,
    project: opt.ProjectOption = None,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Evaluate checkpoints on held-out examples and say whether later ones are really worse.

    Results are kept as they come: what was finished is never computed twice.

    Examples:

      runscope evaluate me/pricer-2024-09-13 --data heldout.jsonl

      runscope evaluate ./output --data heldout.jsonl --train-data train.jsonl --full
    """
    from runscope import api

    page = out.report_room()

    settings = {"task": task, "full": full} | ({} if min_effect is None else {"min_effect": min_effect})
    with progress(quiet) as update:
        line = _line(run, project) if run else None
        saved = api.checkpoints(repo, line=line, progress=update)
        if plan:
            from runscope.api import evaluation_plan

            planned = evaluation_plan(saved, data, train_data=train_data, base=base, line=line, **settings)
            return page.print_plan(out.stdout(), planned)
        study = api.evaluate(
            saved, data, line=line, train_data=train_data, base=base, progress=update, **settings
        )
    if output:
        forms = out.table_forms(lambda: page.study_table(study)) | out.json_form(
            lambda: page.study_json(study)
        )
        return out.save(output, forms, quiet=quiet)
    if format in (opt.Format.json, opt.Format.jsonl):
        return out.print_json(page.study_json(study), line=format is opt.Format.jsonl)
    if format is opt.Format.markdown:
        print(page.markdown_study(study))  # noqa: T201
        return None
    return page.print_study(out.stdout(), study)


def _line(runs: list[str], project: str | None) -> Timeline:
    from runscope import api
    from runscope.api import require_joined
    from runscope.history import Timeline

    if len(runs) == 1:
        return Timeline.of(api.load(runs[0], project=project))
    return require_joined(api.stitch(runs, project=project))
