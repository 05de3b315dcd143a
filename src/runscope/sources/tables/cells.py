"""Numbers in cells of text, as people and programs write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from runscope.sources.tables.column_names import is_epoch, is_step
from runscope.sources.tables.frames import as_texts, has_numbers, is_filled, to_floats
from runscope.stats.arrays import Bools, Floats

if TYPE_CHECKING:
    import pandas as pd

MOSTLY = 0.5
"""A column of which at least half of the filled cells are numbers is one of numbers: the other cells are lost ones."""
_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_THOUSANDS_DOTTED = re.compile(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+,\d+")
_PERCENT = re.compile(r"[-+]?[\d.,]+\s*%")
_SAMPLE = 20
_ROUND = re.compile(r"(\d+(?:\.\d+)?)\s*([kmbt])", re.IGNORECASE)
_SIZES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_LIKE_A_COUNT = re.compile(r"token|sample|example|step|iter|frame|image|seen", re.IGNORECASE)
_PARTED = re.compile(r"[-+]?\d{1,3}(?:[ '\u2019\u00a0\u202f_]\d{3})+(?:[.,]\d+)?")
_PARTS = re.compile(r"(?<=\d)[ '\u2019\u00a0\u202f_](?=\d)")
_OF_ALL = re.compile(r"(\d+)\s*(?:/|of)\s*(\d+)")
_NAMED_PLACE = re.compile(r"(?:[\w. -]+/)*[a-z][a-z_]*[ _#:-]*(\d+)/?", re.IGNORECASE)
"""``epoch 3``, ``checkpoint-500``, ``out/global_step500``."""
_DOTTED = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+")
_STARRED = re.compile(
    r"(?:\*{1,2}|_{1,2}|<b>)?\s*([-+]?[\d.,]+(?:e[-+]?\d+)?)\s*(?:\*{1,3}|_{1,2}|</b>|\(best\)|★|✓|†)?",
    re.IGNORECASE,
)
"""A number that is marked as the best: in bold, with a star."""
_FORTRAN = re.compile(r"([-+]?\d*\.?\d+)d([-+]?\d+)", re.IGNORECASE)
_FORMS = ((_PARTED, _PARTS, ""), (_FORTRAN, _FORTRAN, r"\1e\2"), (_STARRED, _STARRED, r"\1"))
"""How numbers are written that are no plain ones, what of it is replaced, and by what."""
_SPREAD = re.compile(
    r"([-+]?[\d.]+(?:e[-+]?\d+)?)\s*(?:(?:±|\+/-|\+-)\s*[\d.]+(?:e[-+]?\d+)?|\(\s*[-+]?[\d.]+(?:e[-+]?\d+)?\s*\))",
    re.IGNORECASE,
)
_ONE = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf|NaN|Infinity)"
_REST = r"(?:\s*,[^()\n]*(?:\([^()\n]*\)[^()\n]*)*)?"
_WRAPPED = re.compile(
    rf"(?<![\w.])(?:[A-Za-z_]\w*\.)*(?:[Tt]ensor|array|Array|DeviceArray|Parameter|Decimal|b?float\d+|u?int\d+|float|int)"
    rf"\(\s*\[?\s*'?({_ONE})'?\s*\]?{_REST}\s*\)"
    rf"|<tf\.(?:Tensor|Variable)[^<>\n]*numpy=({_ONE})[^<>\n]*>"
)
"""A number as a tensor or an array prints itself: ``tensor(0.5, device='cuda:0', grad_fn=<NllLossBackward0>)``."""
_BRACKETED = rf"\[\s*({_ONE})\s*\]"


def unwrapped(text: str) -> str:
    """The text with the numbers of printed tensors and arrays of one element in place of what stands around them."""
    if "(" not in text:
        return text
    return _WRAPPED.sub(lambda found: found[1] or found[2], text)


LIKE_A_METRIC = re.compile(
    r"(?:^|[^a-z])(?:loss|nll|acc|accuracy|lr|learning_rate|grad|norm|reward|ppl|perplexity|f1|bleu|rouge|wer|auc|"
    r"mse|rmse|mae|error|entropy|kl|score|step|global_step|iter|iteration|epoch)(?:$|[^a-z])",
    re.IGNORECASE,
)


@dataclass
class Numbers:
    """Reads columns of a table, and counts what is no number.

    Attributes:
        words: cells that hold words in a column of numbers, by column, with an example.
        without: columns called as a metric or a counter that hold no number at all, with an example.
        percent, commas, rounded, spread: columns whose numbers have a percent sign, a decimal comma, a k or M for their
            size, a spread beside them.
        lost: which cells of a column that counts hold words.
        dotted: columns that count whose thousands are parted by dots.
        planned: the end of a counter whose cells name it (``50/1000``).
        others: columns that are not read yet: their decimal mark tells what a dot in a counter is.
    """

    words: dict[str, tuple[int, str]] = field(default_factory=dict)
    without: dict[str, str] = field(default_factory=dict)
    percent: list[str] = field(default_factory=list)
    commas: list[str] = field(default_factory=list)
    rounded: list[str] = field(default_factory=list)
    spread: list[str] = field(default_factory=list)
    lost: dict[str, Bools] = field(default_factory=dict)
    dotted: list[str] = field(default_factory=list)
    planned: float | None = None
    others: Mapping[str, pd.Series] = field(default_factory=dict)

    def read(self, cells: pd.Series, name: str = "") -> tuple[Floats, Bools]:
        """(values, which were logged): an empty cell was not, ``nan`` was; words are neither.

        Raises:
            ValueError: a comma in its numbers may part thousands or be a decimal mark.
        """
        if has_numbers(cells):  # as nearly all columns are
            return cells.to_numpy(), is_filled(cells)
        if is_step(name) and self._parts_thousands(cells):
            self.dotted.append(name)
            cells = cells.str.replace(".", "", regex=False)
        texts = cells.str.strip().str.replace("\u2212", "-", regex=False)
        values, logged = _plain(texts)
        filled = (texts != "").to_numpy(np.bool_)
        if not bool((filled & ~logged).any()):
            return values, logged
        rest = texts[filled & ~logged]
        if bool(rest.str.contains(r"[(\[]").any()):
            texts = texts.map(unwrapped).str.replace(_BRACKETED, r"\1", regex=True)
            _, logged = _plain(texts)
        texts = self._as_written(texts, filled & ~logged, name)
        _, logged = _plain(texts)
        if bool(texts[filled & ~logged].str.contains(",", regex=False).any()):
            texts = self._without_commas(texts, name)
        values, logged = _plain(texts)
        lost = filled & ~logged
        if is_step(name) or is_epoch(name):
            self.lost[name] = lost
        if lost.any() and (
            logged.sum() >= MOSTLY * filled.sum() or (logged.any() and LIKE_A_METRIC.search(name))
        ):
            example = str(texts[lost].iloc[0])
            self.words[name] = (int(lost.sum()), example)
        elif lost.any() and not logged.any() and LIKE_A_METRIC.search(name):
            self.without[name] = str(texts[lost].iloc[0])
        return values, logged

    def _parts_thousands(self, texts: pd.Series) -> bool:
        """Whether the dots in a counter part thousands: ``950, 1.000, 1.050``, or where decimals have a comma."""
        if not bool(texts.iloc[-1:].str.contains(".", regex=False).any()):  # the largest as a rule
            return False
        texts = texts[texts != ""].str.strip()
        dotted = texts.str.fullmatch(_DOTTED)
        if bool(dotted.all()):
            heads = (as_texts(column.iloc[:_SAMPLE]).str.strip() for column in self.others.values())
            return bool(self.commas) or any(bool(head.str.fullmatch(_COMMA).any()) for head in heads)
        return bool(dotted.any()) and bool(texts[~dotted].str.fullmatch(r"\d{1,3}").all())

    def _as_written(self, texts: pd.Series, unread: Bools, name: str) -> pd.Series:
        """Cells without what people put around a number, where all that are no plain numbers are written in one way."""
        rest = texts[unread]
        if not len(rest):
            return texts
        if bool(rest.str.fullmatch(_PERCENT).all()):
            self.percent.append(name)
            return texts.str.rstrip("% ")
        for form, part, by in _FORMS:
            if bool(rest.str.fullmatch(form).all()):
                return texts.str.replace(part, by, regex=True)
        if bool(rest.str.fullmatch(_SPREAD).all()):
            self.spread.append(name)
            return texts.str.replace(_SPREAD, r"\1", regex=True)
        if (_LIKE_A_COUNT.search(name) or is_epoch(name)) and bool(rest.str.fullmatch(_ROUND).all()):
            self.rounded.append(name)
            return texts.str.replace(
                _ROUND, lambda m: f"{float(m[1]) * _SIZES[m[2].lower()]:.12g}", regex=True
            )
        if is_step(name) or is_epoch(name):
            for form in (_OF_ALL, _NAMED_PLACE):
                if bool(rest.str.fullmatch(form).all()):
                    if form is _OF_ALL and is_step(name):
                        self.planned = float(max(rest.str.extract(_OF_ALL)[1].astype(float)))
                    return texts.str.replace(form, r"\1", regex=True)
        return texts

    def _without_commas(self, texts: pd.Series, name: str) -> pd.Series:
        with_comma = texts[texts.str.contains(",", regex=False)]
        if bool(with_comma.str.fullmatch(_THOUSANDS_DOTTED).any()):
            dotted = texts[texts.str.contains(".", regex=False) & ~texts.str.contains(",", regex=False)]
            if not bool(dotted.str.fullmatch(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+").all()):
                raise ValueError(
                    f"{with_comma.iloc[0]} and {dotted.iloc[0]} (column {name}) have different decimal marks"
                )
            texts, with_comma = (t.str.replace(".", "", regex=False) for t in (texts, with_comma))
        thousands = with_comma.str.fullmatch(_THOUSANDS)
        if bool(thousands.all()):
            if bool(with_comma.str.contains(r",.*[,.]").any()):
                return texts.str.replace(",", "", regex=False)
            others = texts[~texts.str.contains(",", regex=False) & (texts != "")]
            whole = is_step(name) and not self.commas  # nobody writes a part of a step
            below = bool(len(others)) and bool(others.str.fullmatch(r"[-+]?\d{1,3}").all())
            if not whole and not below:
                raise ValueError(
                    f"the comma in {with_comma.iloc[0]} (column {name or 'without a name'}) may part thousands or be "
                    "a decimal mark"
                )
            return texts.str.replace(",", "", regex=False)
        if not bool(with_comma.str.fullmatch(_COMMA).all()):
            return texts
        self.commas.append(name)
        return texts.str.replace(",", ".", regex=False)

    def notes(self) -> tuple[str, ...]:
        """What was read in another way than it stands there, and what was lost."""
        said = []
        if self.commas:
            said.append(f"the numbers of {_named(self.commas)} have a decimal comma")
        if self.percent:
            said.append(f"{_named(self.percent)} is in percent")
        if self.dotted:
            said.append(f"the dots in {_named(self.dotted)} part thousands")
        if self.rounded:
            said.append(f"{_named(self.rounded)} is rounded: written with k, M or B")
        if self.spread:
            said.append(
                f"{_named(self.spread)} has a second number in each cell, a spread or a mean: the first is taken"
            )
        for name, (count, example) in self.words.items():
            cells = "1 cell holds" if count == 1 else f"{count:,} cells hold"
            said.append(f"{cells} not a number in column {name} (such as {example[:20]}): left out")
        for name, example in self.without.items():
            said.append(f"column {name} holds no numbers (such as {example[:20]}): left out")
        return tuple(said)


def _plain(texts: pd.Series) -> tuple[Floats, Bools]:
    values = to_floats(texts)
    unknown = np.isnan(values)
    if unknown.any():
        lower = texts.str.lower()
        infinite = lower.isin(("infinity", "+infinity", "+inf")).to_numpy(np.bool_)
        values = np.where(
            infinite, np.inf, np.where((lower == "-infinity").to_numpy(np.bool_), -np.inf, values)
        )
        return values, ~np.isnan(values) | (lower == "nan").to_numpy(np.bool_)
    return values, ~unknown


def _named(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
