"""``runscope show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress

if TYPE_CHECKING:
    import pandas as pd

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
    """Tell what a run holds: metrics, their roles, points, steps, epochs, state, each curve in a line.

    ! marks NaN or infinite values in a curve.

    Examples:

      runscope show wandb/offline-run-20240913_130439-2x9f1k3a

      runscope show export.csv::sweet-1 mlflow.db::sweet-2 --map eval_loss=val/nll

      runscope show me/pricer/2x9f1k3a --output points.parquet
    """
    from runscope import api
    from runscope.reporting import markdown_run, print_run, run_json

    with progress(quiet) as update:
        loaded = [
            api.with_parts(
                api.load(r, project=project, roles=opt.role_map(map), refresh=refresh, progress=update)
            )
            for r in runs
        ]

    def table() -> pd.DataFrame:
        import pandas as pd

        return pd.concat([run.to_pandas().assign(run=run.key) for run in loaded], ignore_index=True)

    def data() -> dict[str, Any]:
        shown = [run_json(run) for run in loaded]
        return shown[0] if len(shown) == 1 else {"schema": "runscope.runs/1", "runs": shown}

    if output:
        text = "\n\n".join(markdown_run(run) for run in loaded) + "\n"
        forms = {".md": lambda path: path.write_text(text, encoding="utf-8", errors="replace")}
        return out.save(output, out.table_forms(table) | out.json_form(data) | forms, quiet=quiet)
    if format is opt.Format.json:
        return out.print_json(data())
    for number, run in enumerate(loaded):
        if number and format is not opt.Format.jsonl:
            print()  # noqa: T201
        _print(run, format, print_run, markdown_run, run_json)
    return None


def _print(run: Run, format: opt.Format, text: Any, markdown: Any, data: Any) -> None:
    if format is opt.Format.jsonl:
        out.print_json(data(run), line=True)
    elif format is opt.Format.markdown:
        print(markdown(run))  # noqa: T201
    else:
        text(out.stdout(), run)
