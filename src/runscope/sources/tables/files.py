"""Tables as they lie on disk: CSV, JSON lines, JSON, console logs, Parquet. All become columns of numbers or texts.

Both keep an empty cell (not logged) and ``nan`` (logged as NaN) apart. What a file is, its content tells: JSON lines
lie under ``.json``, ``.txt`` and ``.log`` as well.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runscope.errors import UnreadableRun
from runscope.sources.packed import unpacked_name
from runscope.sources.tables.cells import LIKE_A_METRIC
from runscope.sources.tables.column_names import is_label
from runscope.sources.tables.console import lines as console
from runscope.sources.tables.documents import json_text, notebooks
from runscope.sources.tables.frames import NOTHING, stacked
from runscope.sources.tables.written.csv_text import read_csv
from runscope.sources.tables.written.marks import is_number
from runscope.sources.tables.written.repairs import MOST_ABOVE
from runscope.sources.text import HEAD_BYTES, Text, head_of, read_text

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["csv", "lines", "json", "console", "parquet", "document"]

CSV = (".csv", ".tsv", ".data")
LINES = (".jsonl", ".ndjson")
PLAIN = (".log", ".txt", ".out", ".err", ".stdout", ".stderr", "")
ENDINGS = (*CSV, *LINES, ".json", ".parquet")
_HINT = "a table needs one header line and one row per step"
_HEADED = re.compile(
    r"[\"']?(?:epoch|step|iter|iteration|global_step)s?[\"']?[,;\t|][^\n]*(?:loss|acc|lr|reward|score)",
    re.IGNORECASE,
)
"""How a table begins that lies under the ending of a plain text: Keras' ``training.log``."""


def kind_of(file: Path) -> Kind | None:
    """What a file holds; None where it is no table. Reads its beginning, never raises."""
    ending = ending_of(file)
    if ending == ".parquet":
        return "parquet"
    if ending in CSV:
        return "csv"
    if ending in LINES:
        return "lines"
    if ending in notebooks.ENDINGS:
        return "document" if notebooks.is_document(file.name, head_of(file)) and _logs_of(file) else None
    if ending not in (".json", *PLAIN):
        return None
    head = head_of(file)
    if json_text.is_lines(head, one=ending != ".json"):
        return "lines"
    if ending == ".json":
        return "json" if json_text.is_table(head) or json_text.is_other_table(head, file) else None
    if json_text.is_rows(head):
        return "json"
    return _kind_of_text(head_of(file, console.SOUGHT_BYTES))


_OF_A_JOB = re.compile(r"\.[oe]\d+(?:[.-]\d+)?")
"""``train.o81234``: what a job of Grid Engine, PBS or LSF printed."""
_TURNED_OVER = re.compile(r"\.(?:\d+|\d{4}-?\d\d-?\d\d|old|bak|prev)")


def ending_of(file: Path) -> str:
    """The ending that tells of a file's kind, in lower case: ``.log`` of ``train.log.2.gz``, which was rotated."""
    file = unpacked_name(file)
    ending = file.suffix.lower()
    if _OF_A_JOB.fullmatch(ending):
        return PLAIN[0]
    if _TURNED_OVER.fullmatch(ending):
        inner = Path(file.stem).suffix.lower()
        return inner if inner in (*CSV, *LINES, *PLAIN) else ending
    return ending


def _kind_of_text(text: str) -> Literal["csv", "console"] | None:
    """What a text that begins so holds."""
    head = text[:HEAD_BYTES]
    if _HEADED.match(head.lstrip("# ")) or _in_columns(head):
        return "csv"
    if console.is_console(text):
        return "console"
    above = any(_HEADED.match(line) for line in head.split("\n", MOST_ABOVE)[:MOST_ABOVE])
    return "csv" if above else None


_CLOCK = re.compile(r"\d+(?::\d\d)+")
_COUNTS = frozenset(("epoch", "epochs", "step", "steps", "iter", "iteration", "global_step"))


def _in_columns(head: str) -> bool:
    """Whether a text begins with names above numbers, parted by blanks, as ``print`` of a data frame leaves them."""
    lines = [line.split() for line in head.lstrip().split("\n", 3)[:2]]
    if len(lines) < 2 or len(lines[0]) < 2 or not _COUNTS & {word.lower() for word in lines[0]}:
        return False
    cells = [cell for cell in lines[1] if not _CLOCK.fullmatch(cell)]
    return len(lines[1]) - len(lines[0]) in (0, 1) and bool(cells) and all(map(is_number, cells))


def read_cells(file: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The cells of a table, and what was lost.

    Raises:
        UnreadableRun: it cannot be opened or parsed.
    """
    kind = kind_of(file)
    try:
        if kind == "parquet":
            return _parquet(file), ()
        if kind == "document":
            return _together(_logs_of(file))
        read = _READERS[kind or ("json" if ending_of(file) == ".json" else "csv")]
        return _spoken(*read(read_text(file)))  # nobody else holds the text, which is as large as the file
    except OSError as error:
        raise UnreadableRun(
            f"{file} cannot be read: {error.strerror or error}", hint="check the path and its rights"
        ) from None
    except (ValueError, RecursionError, csv.Error) as error:  # pandas', pyarrow's and json's are ValueErrors
        raise UnreadableRun(f"{file} cannot be read as a table: {error}", hint=_HINT) from None


_SPOKEN = ("message", "msg", "log", "line", "data", "event", "textpayload", "@message")


def _spoken(cells: pd.DataFrame, notes: tuple[str, ...]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A table as it is, or what its lines say: loggers and services keep what was printed in a column of texts."""
    column = next((c for c in cells.columns if str(c).lower() in _SPOKEN), None)
    if column is None or any(LIKE_A_METRIC.search(str(c)) for c in cells.columns):
        return cells, notes
    text = "".join(f"{line}\n" for lines in cells[column] for line in str(lines).rstrip("\n").split("\n"))
    if not console.is_console(text[: console.SOUGHT_BYTES]):
        return cells, notes
    return console.read_console(Text(text, notes=(*notes, f"the log stands in column {column}")))


def _logs_of(file: Path) -> list[tuple[str, Text, Literal["csv", "console"]]]:
    """The logs in a document: what each is called, its text, and what it holds; none where it cannot be read."""
    try:
        logs = notebooks.logs_in(file.name, read_text(file))
    except (OSError, ValueError, RecursionError, UnreadableRun):
        return []
    found: list[tuple[str, Text, Literal["csv", "console"]]] = []
    for name, text, is_table in logs:
        kind = "csv" if is_table else _kind_of_text(text.text[: console.SOUGHT_BYTES])
        if kind is not None:
            found.append((name, text, kind))
    return found


def _together(
    logs: list[tuple[str, Text, Literal["csv", "console"]]],
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Logs as one table, with a column that tells them apart where there are several."""
    read = [(name, *_READERS[kind](text)) for name, text, kind in logs]
    notes = tuple(dict.fromkeys(note for _, _, said in read for note in said))
    if len(read) == 1:
        return read[0][1], notes
    return stacked([cells.assign(run=name) for name, cells, _ in read]), notes


_READERS: dict[str, Callable[[Text], tuple[pd.DataFrame, tuple[str, ...]]]] = {
    "console": console.read_console, "lines": json_text.read_lines, "json": json_text.read_json, "csv": read_csv,
}  # fmt: skip
MOST_CELLS = 100_000_000
"""Of a column that repeats one value a Parquet file of a kilobyte may hold as many."""
_PART = re.compile(r"(.*)_part_(\d+)\.parquet")
"""How Neptune's exporter calls the files of one run, 50 MB each."""


def parts_of(file: Path) -> list[Path]:
    """All files of the run that a file is a part of, in order; the file itself where it is whole."""
    part = _PART.fullmatch(file.name)
    if part is None:
        return [file]
    found = {
        int(m[2]): f for f in file.parent.iterdir() if (m := _PART.fullmatch(f.name)) and m[1] == part[1]
    }
    return [found[number] for number in sorted(found)]


def _parquet(file: Path) -> pd.DataFrame:
    """The cells of a Parquet file, a column at a time: decoded they take many times the file.

    Raises:
        ValueError: it unfolds to more cells than any log has, or has a kind of column that nobody writes.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = parts_of(file)
    try:
        heads = [pq.read_metadata(part) for part in parts]
        if sum(head.num_rows * head.num_columns for head in heads) > MOST_CELLS:
            raise ValueError(f"it holds more than {MOST_CELLS:,} cells")
        names = dict.fromkeys(
            field.name
            for part in parts
            for field in pq.read_schema(part)
            if not pa.types.is_nested(field.type)
        )
        columns = {name: _column(parts, name) for name in names}
    except (NotImplementedError, KeyError) as error:  # an odd kind of column, a name twice
        raise ValueError(str(error)) from error
    return pd.DataFrame(columns, copy=False)


def _column(parts: list[Path], name: str) -> Any:
    """One column of a file in parts, empty where a part has none."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    tables = [pq.read_table(part, columns=[name]) for part in parts]
    column = pa.concat_tables(tables, promote_options="default").column(name)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
        column = pc.divide(column.cast(pa.float64(), safe=False), 1e6)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    kind = column.type
    if (
        pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)
    ) and not is_label(name):
        return column.cast(pa.float64(), safe=False).fill_null(NOTHING).to_numpy()
    return pd.array(column.cast(pa.large_string()).fill_null(""), dtype="str")
