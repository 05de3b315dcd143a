"""Per-example results of Inspect: one log (``.eval`` or ``.json``) for each checkpoint."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Required, TypedDict

from runscope.errors import InputError
from runscope.evaluation.results.table import Entry, Found, number, step_of_path
from runscope.schema import checked, read_json, read_object

ZSTANDARD = 93
"""Number of the compression in a ZIP archive (APPNOTE 6.3.7)."""
LOCAL_HEADER = 30
"""Bytes before a member's name; its last four are the lengths of the name and of what follows it."""
_BOMB = "more is packed into it than a log of its size has"
LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Correct, partial, incorrect and no answer, as Inspect counts them."""


MOST_TIMES, SMALL = 100, 1 << 26
"""So many times the size of an archive, or 64 MB, may lie in it: each sample is compressed alone, to a tenth or so."""


class Sample(TypedDict, total=False):
    """What is read of a sample; what a model was told and said is most of a log, and is not kept."""

    id: Required[str | int]
    input: Any
    error: Any
    metadata: dict[str, Any] | None
    scores: dict[str, Any] | None


class _Evaluated(TypedDict, total=False):
    model: str | None


class Log(TypedDict, total=False):
    """What is read of a log."""

    status: str | None
    eval: Required[_Evaluated]
    samples: Required[list[Sample] | None]


def is_log(content: Any) -> bool:
    """Whether JSON is one of Inspect's logs."""
    return isinstance(content, dict) and isinstance(content.get("eval"), dict) and "samples" in content


def read_eval(path: Path) -> dict[str, Any]:
    """A ``.eval`` file: a ZIP archive of ``header.json`` and a file for each sample.

    Raises:
        InputError: it is cut, compressed in a way that Python does not know, too large for what it is packed into, or
            another archive.
    """
    try:
        left = max(MOST_TIMES * path.stat().st_size, SMALL)
        with zipfile.ZipFile(path) as archive:
            header = _member(archive, "header.json", left)
            content, left, samples = read_object(header), left - len(header), []
            for name in archive.namelist():
                if name.startswith("samples/") and name.endswith(".json"):
                    text = _member(archive, name, left)
                    left -= len(text)
                    samples.append(checked(read_json(text), Sample))
    except (
        zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, NotImplementedError, RuntimeError, EOFError,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path} cannot be read as a log of Inspect: {error}",
            hint="convert it with: inspect log convert --to json --output-dir FOLDER FILE",
        ) from None
    return {**content, "samples": samples}


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """One file of an archive; Inspect compresses with Zstandard, which ``zipfile`` reads from Python 3.14 on.

    Raises:
        ValueError: it has more than so many bytes.
    """
    info = archive.getinfo(name)
    if info.file_size > most:
        raise ValueError(_BOMB)
    if info.compress_type != ZSTANDARD:
        return archive.read(info)
    import pyarrow as pa

    file = archive.fp
    if file is None:
        raise ValueError("the archive is closed")
    file.seek(info.header_offset)
    header = file.read(LOCAL_HEADER)
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
    with pa.CompressedInputStream(pa.BufferReader(file.read(info.compress_size)), "zstd") as stream:
        text = bytes(stream.read(most + 1))
    if len(text) > most:
        raise ValueError(_BOMB)
    return text


def entries(
    contents: Sequence[tuple[Path, Mapping[str, Any]]], metric: str | None, cluster: str | None
) -> Found:
    """All results of several logs. Epochs of a sample are averaged; samples that ended with an error have none.

    Args:
        contents: of each log.
        metric: the scorer that decides; where its value has parts, ``scorer.part``.
        cluster: a field of the samples' ``metadata`` that groups them.

    Raises:
        InputError: a log is damaged or not finished, has no such scorer, or says of no checkpoint.
    """
    logs = [(path, _whole(path, content)) for path, content in contents]
    found: list[Entry] = []
    names = list(
        dict.fromkeys(
            n for _, log in logs for sample in log["samples"] or () for n in sample.get("scores") or ()
        )
    )
    chosen = metric or next(iter(names), "")
    letters = True
    for path, log in logs:
        if log.get("status") not in ("success", None):
            raise InputError(
                f"the evaluation in {path} did not finish: its status is {log['status']!r}",
                hint="inspect eval-retry FILE finishes it",
            )
        step = step_of_path(path, log["eval"].get("model") or "")
        values: dict[str, list[float]] = {}
        facts: dict[str, tuple[str | None, str]] = {}
        for sample in log["samples"] or ():
            scores, example = sample.get("scores") or {}, str(sample["id"])
            if not scores and sample.get("error"):
                continue
            raw = _raw(scores, chosen)
            letters &= raw in LETTERS if isinstance(raw, str) else isinstance(raw, bool)
            values.setdefault(example, []).append(_value(raw, scores, chosen, path, example))
            facts[example] = _group(sample, cluster, path), _asked(sample.get("input"))
        found += [
            Entry(step, e, sum(v) / len(v), facts[e][0], content=facts[e][1]) for e, v in values.items()
        ]
    others = [n for n in names if n != chosen.partition(".")[0] and n != chosen]
    notes = (
        [f"the scorer {chosen} was judged; other scorers: {', '.join(others)}"]
        if not metric and others
        else []
    )
    return Found(found, chosen, notes, False if letters and found else None, cluster or "cluster")


def _whole(path: Path, content: Mapping[str, Any]) -> Log:
    try:
        return checked(content, Log)
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}", hint="fetch or write it again") from None


def _asked(content: Any) -> str:
    """What a sample asks, without the names that Inspect makes up anew for each message."""
    if isinstance(content, list):
        content = [(turn.get("role"), turn.get("content")) for turn in content if isinstance(turn, Mapping)]
    return json.dumps(content, sort_keys=True, default=str)


def _raw(scores: Mapping[str, Any], metric: str) -> Any:
    """The value of a scorer, or of the part of it that is named."""
    scorer, _, part = metric.partition(".") if metric not in scores else (metric, "", "")
    score = scores.get(scorer)
    value = score.get("value") if isinstance(score, Mapping) else score
    return value.get(part) if part and isinstance(value, Mapping) else value


def _value(value: Any, scores: Mapping[str, Any], metric: str, path: Path, example: str) -> float:
    found = LETTERS.get(value) if isinstance(value, str) else None
    found = number(value) if found is None else found
    if found is None or not isfinite(found):
        parts = f"{metric}.{next(iter(value))}" if isinstance(value, Mapping) and value else ""
        raise InputError(
            f"sample {example} of {path} has no finite number for the scorer {metric!r}",
            hint=f"its value has parts: --metric {parts}"
            if parts
            else f"its scorers: {', '.join(scores) or 'none'}",
        )
    return found


def _group(sample: Sample, cluster: str | None, path: Path) -> str | None:
    if cluster in (None, "none"):
        return None
    facts = sample.get("metadata") or {}
    if cluster not in facts:
        raise InputError(
            f"the samples of {path} have no {cluster!r} in their metadata; found: {', '.join(facts) or 'nothing'}",
            hint="--cluster none takes every sample for itself",
        )
    return str(facts[cluster])
