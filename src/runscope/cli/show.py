"""``runscope show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress

if TYPE_CHECKING:
    from runscope.history import Run


def show(
    runs: opt.RunsArgument,
    format: opt.FormatOption = opt.Format.text,
    output: opt.OutputOption = None,
    project: opt.ProjectOption = None,
    map: opt.MapOption = None,
    refresh: opt.RefreshOption = False,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Tell what a run holds: metrics, their roles, points, steps, epochs, state.

    Examples:

      runscope show wandb/offline-run-20240913_130439-2x9f1k3a

      runscope show me/pricer/2x9f1k3a --output points.parquet
    """
    import pandas as pd

    from runscope import api
    from runscope.reporting import markdown_run, print_run, run_json

    with progress(quiet) as update:
        loaded = [
            api.load(r, project=project, roles=opt.role_map(map), refresh=refresh, progress=update)
            for r in runs
        ]

    def table() -> pd.DataFrame:
        return pd.concat([run.to_pandas().assign(run=run.id) for run in loaded], ignore_index=True)

    def data() -> dict[str, Any]:
        return run_json(loaded[0]) if len(loaded) == 1 else {"runs": [run_json(r) for r in loaded]}

    if output:
        return out.save(output, out.table_forms(table) | out.json_form(data), quiet=quiet)
    if format is opt.Format.json:
        return out.print_json(data())
    for run in loaded:
        _print(run, format, print_run, markdown_run, run_json)
    return None


def _print(run: Run, format: opt.Format, text: Any, markdown: Any, data: Any) -> None:
    if format is opt.Format.jsonl:
        out.print_json(data(run), line=True)
    elif format is opt.Format.markdown:
        print(markdown(run))  # noqa: T201
    else:
        text(out.stdout(), run)
