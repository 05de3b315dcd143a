"""Write a diagnosis in the form that a file's ending names."""

from __future__ import annotations

import json
from pathlib import Path

from runscope.errors import UsageError
from runscope.reporting.data import diagnosis_json
from runscope.reporting.markdown import markdown
from runscope.verdict.types import Diagnosis


def write(diagnosis: Diagnosis, path: Path) -> Path:
    """Write ``.json``, ``.md``, ``.csv`` or ``.parquet``.

    Raises:
        UsageError: another ending.
        OSError: the place cannot be written.
    """
    names = " ".join(run.reference for run in diagnosis.timeline.runs)
    if path.suffix == ".json":
        path.write_text(
            json.dumps(diagnosis_json(diagnosis, names), indent=2, allow_nan=False) + "\n", encoding="utf-8"
        )
    elif path.suffix == ".md":
        path.write_text(markdown(diagnosis) + "\n", encoding="utf-8")
    elif path.suffix == ".csv":
        diagnosis.timeline.to_pandas().to_csv(path, index=False, na_rep="NaN")
    elif path.suffix == ".parquet":
        diagnosis.timeline.to_pandas().to_parquet(path, index=False)
    else:
        raise UsageError(
            f"nothing is written as {path.suffix!r}", hint="the endings are .json, .md, .csv, .parquet"
        )
    return path
