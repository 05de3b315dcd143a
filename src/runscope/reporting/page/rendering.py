"""A template filled: one HTML file with its style, its script and its curves inside."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from runscope.history import Timeline
from runscope.reporting.data import plain
from runscope.reporting.text.escaping import advice
from runscope.reporting.view.charts import Chart, Curve
from runscope.reporting.view.curves import SMOOTHING
from runscope.reporting.view.layers import LayerMap, LayerRow, fates_of, layer_rows
from runscope.reporting.view.marks import axes
from runscope.reporting.view.packing import Packer
from runscope.reporting.view.rest import rest
from runscope.reporting.view.tones import spoken
from runscope.rules import Finding
from runscope.rules.context import plural
from runscope.safe_text import harmless
from runscope.stats.arrays import Floats

if TYPE_CHECKING:
    import jinja2


PAGE_BYTES = 2_000_000
"""A page is never larger: it goes by mail and opens on a phone."""
PAGE_POINTS = 400_000
"""Points of all curves together to begin with; fewer where the page would grow too large."""
SCRIPTS = ("data", "charts", "heat", "tools", "frame", "main")
_HASH = re.compile(r"\b[0-9a-f]{40,64}\b")
NO_FACTS: Mapping[str, Any] = {"command": "", "made_at": "", "inputs": (), "settings": {}, "versions": {}}


def render(
    template: str,
    draw: Callable[[int], list[Chart]],
    across: Callable[[Sequence[str]], Mapping[str, Any]],
    lines: Sequence[Timeline],
    facts: Mapping[str, Any],
    **words: Any,
) -> str:
    """Fill a template; with fewer points where the page would be larger than :data:`PAGE_BYTES`.

    Args:
        template: name of the template.
        draw: gives the charts for a number of points.
        across: gives the marks for the keys of the charts.
        lines: one, or those that are compared.
        facts: how it was made.
        words: what the template speaks of.
    """
    room = PAGE_POINTS
    while True:
        found = draw(room)
        groups, left_out = rest(lines[0], room // 4) if len(lines) == 1 else ([], 0)
        if not found and groups:  # nothing that has a chart of its own: the first group stands in
            found = list(groups.pop(0).charts)
        packer = Packer()
        data = {
            "charts": [_chart(chart, packer) for chart in found], "axes": axes(lines), "smoothing": SMOOTHING,
            "compared": len(lines) > 1,
            "rest": [[_chart(c, packer) for c in group.charts] for group in groups],
            **across([chart.key for chart in found]),
        }  # fmt: skip
        text = filled(
            template,
            script=script_of(SCRIPTS),
            data=_embedded(data),
            points=packer.text(),
            charts=found,
            rest=groups,
            left_out=left_out,
            compared=len(lines) > 1,
            facts={**NO_FACTS, **facts},
            **words,
        )
        if len(text.encode()) <= PAGE_BYTES or room < 10_000:
            return text
        room = room * 3 // 4


def filled(template: str, *, script: str, styles: Sequence[str] = (), **words: Any) -> str:
    """A template with its style and its one script inside.

    Args:
        template: name of the template.
        script: what :func:`script_of` gave.
        styles: assets beside those that all pages have.
        words: what the template speaks of.
    """
    sheets = ("vendor/uPlot.min.css", "templates/report.css", *styles)
    text = _templates().get_template(template).render(
        version=version("runscope"), script=Markup(script), script_hash=Markup(_fingerprint(script)),
        styles=[Markup(_asset(name)) for name in sheets], **words,
    )  # fmt: skip
    return harmless(text)  # names of runs stand in many places of a page


@cache
def script_of(parts: tuple[str, ...]) -> str:
    """A page's one script: the chart library, then our own parts in a scope of their own."""
    own = "\n".join(_asset(f"templates/{name}.js") for name in parts)
    return f'{_asset("vendor/uPlot.iife.min.js")}\n(() => {{\n"use strict";\n{own}\n}})();\n'


def _fingerprint(script: str) -> str:
    """A script as a content security policy names it: a browser then runs no other, whoever wrote it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _chart(chart: Chart, packer: Packer) -> dict[str, Any]:
    about = {
        "key": chart.key, "title": chart.title, "log": chart.log, "series": [_curve(c, packer) for c in chart.curves],
    }  # fmt: skip
    return about if chart.heat is None else about | {"heat": _heat(chart.heat)}


NOTHING, NOT_FINITE, EXACTLY_ZERO, FIRST_LEVEL = range(4)
"""Bytes of a cell; from the last one up to 255 the levels."""


def _heat(heat: LayerMap) -> dict[str, Any]:
    """A map of cells, one byte each."""
    size = np.where(heat.size == 0, EXACTLY_ZERO, _level(heat.levels()))
    return {
        "names": heat.shown, "full": heat.names, "left": heat.left, "right": heat.right, "low": heat.low,
        "high": heat.high, "size": _bytes(np.where(heat.bad, NOT_FINITE, size)),
        "zero": _bytes(_level(heat.zero)) if heat.zeros_known else None,
    }  # fmt: skip


def _level(share: Floats) -> npt.NDArray[np.int64]:
    known = np.nan_to_num(share)
    return np.where(np.isfinite(share), FIRST_LEVEL + np.rint(known * (255 - FIRST_LEVEL)), NOTHING).astype(
        np.int64
    )


def _bytes(cells: npt.NDArray[np.int64]) -> str:
    return base64.b64encode(cells.astype(np.uint8).tobytes()).decode()


def _curve(curve: Curve, packer: Packer) -> dict[str, Any]:
    about = {
        "label": curve.label, "owner": curve.owner, "number": curve.number, "style": curve.style,
        "dash": curve.dash, "bad": curve.bad, "points": packer.add(curve.series),
        "levels": [packer.add(level) for level in curve.levels],
    }  # fmt: skip
    if curve.low is not None and curve.high is not None:
        about |= {"low": curve.low, "high": curve.high}
    return about


def _embedded(data: Any) -> Markup:
    """JSON that cannot end the script it stands in."""
    text = json.dumps(plain(data), allow_nan=False, separators=(",", ":"))
    for sign in "&<>":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


@cache
def _asset(name: str) -> str:
    return files("runscope.reporting.page").joinpath(name).read_text(encoding="utf-8")


def _minus(text: str) -> str:
    """A number with a real minus sign, in front and in the exponent."""
    return text.replace("-", "\N{MINUS SIGN}")


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else _minus(f"{value:.{digits}f}")


def _signed(value: float | None) -> str:
    return "" if value is None else _minus(f"{value:+.3f}")


def _shortened(text: object) -> str:
    """Text of a table, in which a hash of 40 digits or more is told by its first 12."""
    return _HASH.sub(lambda found: f"{found[0][:12]}…", str(text))


def _size(value: float | None) -> str:
    """A gradient: two digits tell it."""
    return "" if value is None else _minus(f"{value:.2g}")


def _layers(heat: LayerMap, findings: Sequence[Finding]) -> list[LayerRow]:
    return layer_rows(heat, fates_of(findings, heat))


def _around(low: float | None, high: float | None) -> str:
    """Half the width of an interval, as it stands behind a number."""
    return "" if low is None or high is None else f"± {(high - low) / 2:.3f}"


def _grouped(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _evidence(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_evidence(v) for v in value)
    return _minus(f"{value:.4g}") if isinstance(value, float) else _shortened(value)


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("runscope.reporting.page"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "number": _number, "minus": _minus, "shortened": _shortened,
        "signed": _signed, "grouped": _grouped, "evidence": _evidence, "around": _around,
        "layers": _layers, "size": _size, "spoken": spoken, "counted": plural, "advice": advice,
        "percent": lambda share: f"{share:.0%}",
    }  # fmt: skip
    return environment
