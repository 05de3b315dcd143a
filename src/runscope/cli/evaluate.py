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
        str, typer.Argument(metavar="REPO", help="Hub repository, local clone or bundle of one, or folder.")
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
    full: Annotated[
        bool, typer.Option("--full", help="Every checkpoint on every example, no early dropping.")
    ] = False,
    min_effect: Annotated[
        float, typer.Option("--min-effect", metavar="NATS", help="Smallest difference that matters.")
    ] = 0.02,
    max_examples: Annotated[
        int | None, typer.Option("--max-examples", metavar="N", help="Take a random part of the examples.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    dtype: Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.")] = "auto",
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Load weights that are pickles; these can run code.")
    ] = False,
    format: opt.FormatOption = opt.Format.text,
    output: opt.OutputOption = None,
    project: opt.ProjectOption = None,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Evaluate checkpoints on held-out examples and say whether later ones are really worse.

    Checkpoints that are surely worse are dropped early. Results are kept as they come: nothing is computed
    twice, also not after an interruption.

    Examples:

      runscope evaluate me/pricer-2024-09-13 --data heldout.jsonl

      runscope evaluate ./output --data heldout.jsonl --train-data train.jsonl --full
    """
    from runscope import api
    from runscope import reporting as page

    with progress(quiet) as update:
        line = _line(run, project) if run else None
        saved = api.checkpoints(repo, line=line, progress=update)
        study = api.evaluate(
            saved, data, line=line, train_data=train_data, base=base, progress=update, full=full,
            min_effect=min_effect, max_examples=max_examples, device=device, dtype=dtype, allow_pickle=allow_pickle,
        )  # fmt: skip
    if output:
        forms = out.table_forms(lambda: page.study_table(study)) | out.json_form(
            lambda: page.study_json(study, repo)
        )
        return out.save(output, forms, quiet=quiet)
    if format in (opt.Format.json, opt.Format.jsonl):
        return out.print_json(page.study_json(study, repo), line=format is opt.Format.jsonl)
    if format is opt.Format.markdown:
        print(page.markdown_study(study))  # noqa: T201
        return None
    return page.print_study(out.stdout(), study)


def _line(runs: list[str], project: str | None) -> Timeline:
    from runscope import api
    from runscope.history import Timeline

    if len(runs) == 1:
        return Timeline.of(api.load(runs[0], project=project))
    return api.require_joined(api.stitch(runs, project=project))
