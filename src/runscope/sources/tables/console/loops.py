"""Lines that people's own loops print: a counter, and metrics beside their names.

A metric is of the data that its own name says, else of the data that a word before it says (``train: loss=0.5 | val:
loss=0.7``): a held-out loss is never taken for a training loss because it stands second in a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runscope.history.metrics import HUMP
from runscope.sources.tables.console import printed
from runscope.sources.tables.console.printed import N
from runscope.sources.tables.console.state import Row, State

_COUNTER = re.compile(
    r"(?<![/\w])(epoch|ep|global[_ ]step|step|iteration|iter|it|batch|episode|round|update)s?\b(?:\(train\))?"
    r"\s*(?:\.{3}\s*)?[:=#]?\s*[\[(]?\s*(\d{1,3}(?:,\d{3})+|\d+)(?:\.0+)?(?![.,:]?\d|\s*%)(?:\s*(?:/|of)\s*(\d+))?\]?",
    re.IGNORECASE,
)
_SPELT = {"ep": "epoch", "global step": "global_step"}
_PLACE = re.compile(r"\bepoch\b(?:\(train\))?\s*:?\s*\[\s*\d+\]\s*\[\s*(\d+)\s*/\s*(\d+)\]", re.IGNORECASE)
"""``Epoch: [3][ 40/100]``: PyTorch's ImageNet example, DETR, mmengine."""
_TIMM = re.compile(r"^.{0,40}?\bTrain: (\d+) \[\s*(\d+)\s*/\s*(\d+)\s+\(\s*\d+%\)\]")
_ON_ITS_WAY = re.compile(r"\[\s*\d+\s*/\s*\d+\s*\]")
_TWO_PLACES = re.compile(
    r"(?:^|\b(?:Train|Training|Epoch):?)\s*\[\s*(\d+)\s*/\s*\d+\s*\]\s*\[\s*(\d+)\s*/\s*(\d+)\s*\]",
    re.IGNORECASE,
)
"""``[0/25][50/1583]``: PyTorch's DCGAN example; ``Train: [0/300][50/1251]``: Swin."""
_WITH_SHARES = re.compile(r"\bTrain:\s*(\d+)/\d+\s*\([^()]*%\)\s*\[\s*(\d+)\s*/\s*(\d+)\b")
"""``Train:    1/80 (  1%) [  50/3712 (  1%)]``: OpenPCDet."""
_TWO_NUMBERS = re.compile(r"^\s*\[\s*(\d+)\s*,\s*(\d+)\s*\](?=\s*\w*\s*loss)", re.IGNORECASE)
"""``[1,  2000] loss: 2.196``: PyTorch's CIFAR-10 tutorial."""
_BATCHES = re.compile(r"(\d+)\s*/\s*(\d+)\s+(?:batch|step|iteration)(?:e?s)\b", re.IGNORECASE)
BAR = re.compile(r"\|\s*(\d+)/(\d+)\s*\[")
_LAST_BAR = re.compile(r".*\|\s*(\d+)/(\d+)\s*\[")
_LOGGER = re.compile(
    r"(?:\[[^\]]*\]|[\w.]*\.[\w.:]+\]?|[IWEF]\d{4}\b|[\d:,.\-/TZ]+|INFO|DEBUG|WARNING|root|__main__|[-|:>=#*\s])*+",
    re.IGNORECASE,
)
"""What a logger puts before a line: time, level, place in the program."""

_WORDS = r"(?:loss|losses|acc|accuracy|norm|rate|reward|return|score|ppl|perplexity|bpb|f1|error)"
_BEGIN = r"(?<![\w.%@/\\-])"
_AFTER = r"(?![\w/]|[.:]\w|,\d|\s*-->)"
_VALUE = rf"(?P<open>\[)?(?P<value>{N})(?(open)\s*\])"
_PAIR = re.compile(
    rf"{_BEGIN}(?P<name>[A-Za-z][\w./@-]*(?: {_WORDS})?)\s*[:=]?\s+?=?\s*{_VALUE}{_AFTER}", re.IGNORECASE
)
_NAMED = re.compile(
    rf"{_BEGIN}(?P<name>[A-Za-z][\w./@-]*(?:[ _]{_WORDS})?)\s*[:=]\s*{_VALUE}%?{_AFTER}", re.IGNORECASE
)
_NESTED = re.compile(r"(\w+)\[(\w+=[^\[\]]*)\]")
"""``tot_loss[loss=0.6, over 900 frames]``: icefall."""
_TRAINED = r"(?:train|training)"
_HELD_OUT = (
    r"(?:val|valid|validation|validating|validate|eval|evaluation|evaluating|evaluate|test|testing|dev)"
)
_SET = re.compile(rf"(?<![\w/\\.-])(?:({_TRAINED})|{_HELD_OUT})(?![\w/\\.-])", re.IGNORECASE)
_ONLY_DATA = re.compile(rf"(?<![\w/\\.-])(?P<name>{_HELD_OUT})\s+(?P<value>{N}){_AFTER}", re.IGNORECASE)
"""``loss=0.5 [val 0.6]``: of which data, and nothing else."""
_NAMES_SET = re.compile(rf"(?:^|[_/.-])(?:{_TRAINED}|{_HELD_OUT})(?:$|[_/.-])", re.IGNORECASE)
NAMES_HELD_OUT = re.compile(rf"(?:^|[_/.-]){_HELD_OUT}(?:$|[_/.-])", re.IGNORECASE)
_LOSS_OF_BOTH = re.compile(
    rf"\bloss(?:es)?\s*[:(]?\s*{_TRAINED}\s*[:=]?\s*({N})[\s,;|]+{_HELD_OUT}\s*[:=]?\s*({N})", re.IGNORECASE
)
"""``LOSS train 0.5 valid 0.6``: PyTorch's tutorial of training."""
_SETS = rf"{_TRAINED}\s*[/|]\s*{_HELD_OUT}"
_TWO_SETS = re.compile(_SETS, re.IGNORECASE)
_TWO = rf"({N})\s*[/|,]\s*({N})(?![\w.])"
_BOTH = re.compile(rf"\b{_SETS}[ _]+([a-z]\w*)\s*[:=]?\s*{_TWO}", re.IGNORECASE)
_BOTH_BEHIND = re.compile(rf"\b([a-z]\w*)\s*[(\[]\s*{_SETS}\s*[)\]]\s*[:=]?\s*{_TWO}", re.IGNORECASE)
"""``train/val loss: 0.5 / 0.6``, ``loss (train/val): 0.5/0.6``."""
_UNNAMED = re.compile(rf"\s*[|/]\s*({N})\s*(?=$|[|,;])")
"""``loss: 0.5 | 0.6``: a second number that no word names."""
_VERB = re.compile(r"(?<=\w)\s+(?:is|was)\b\s*[:=]?\s*(?=\[?\s*(?:[-+]?\.?\d|nan|inf))", re.IGNORECASE)
_PLACED = re.compile(r"\bloss\s+(\d+)\s*:?\s+(?=[-+]?\d+\.\d)", re.IGNORECASE)
"""``Train loss 120 2.31``, ``Validation loss 120: 2.4`` of NVIDIA's Tacotron: the step stands behind the name."""
_HEADING = re.compile(r"^\W*(?:[A-Za-z]+\W+){1,4}$")
_SOURCES = (".py", ".cpp", ".cc", ".cu", ".c", ".go", ".rs", ".java", ".jl", ".js", ".ts")
_BEST = re.compile(r"(?:^|[\W_])(?:best|lowest|highest|minimum|maximum)(?:$|[\W_])", re.IGNORECASE)
_NAMES_SCORE = re.compile(r"acc|accuracy|f1|auc", re.IGNORECASE)
_LOSS = re.compile(r"loss(?:es)?(?![a-z]|[_.]scal|[_.]weight)|\bxent\b|\bnll\b", re.IGNORECASE)
_MEASURED = re.compile(
    r"(?:loss|losses|xent|nll|bpb|acc|accuracy|ppl|perplexity|reward|return|f1|auc|m?iou|dice|bleu|wer|cer|r?mse|mae|score)$",
    re.IGNORECASE,
)
"""Names of which one makes a line with a counter a line of metrics."""


_MOST_VALUES = 20
_IN_SETTINGS = frozenset(("batch", "epoch"))


def loop(line: str, state: State) -> Row | None:
    """``Epoch 3/10, step 120: loss 0.52, lr=1e-4``: a counter, and a metric beside its name.

    The counter may stand in a line of its own above, or in a progress bar.
    """
    row, rest = _counters(line, state)
    values = _metrics(rest, state, held_out=state.held_out and not row)
    if len(values) > _MOST_VALUES and row.keys() <= _IN_SETTINGS:
        return None  # all settings in a line: batch=4, epochs=100
    if not any(map(is_measured, values)):
        _remember(line, row, rest, state)
        after = printed.opennmt(line)
        return {**state.last, **after} if after and state.last else None
    losses = [name for name in values if _LOSS.search(name)] or list(filter(is_measured, values))
    held_out = all(NAMES_HELD_OUT.search(name) for name in losses)
    if row:
        state.held_out = False
        state.counters |= {name: at for name, at in row.items() if name in state.counters}
    elif held_out and _ON_ITS_WAY.search(line):
        return {}  # a batch of an evaluation
    bars = BAR.findall(line)
    if bars and not row.keys() - {"epoch"}:
        if held_out:
            return {}  # the bar of an evaluation: means on their way
        place = _LAST_BAR.search(line)
        assert place is not None, "it was found"
        row["step"] = _counted_on(row, int(place[1]), int(place[2]), state)
        values = changed(values, state)
    if not row and held_out:
        row = state.last  # an evaluation, told after the last step that was
    row = row if "epoch" in row else {**state.counters, **row}
    if not row and "epoch" not in values:  # an epoch with a fraction counts nothing, and tells how far it was
        state.unplaced += 1
        return None
    return {**row, **values}


def is_measured(name: str) -> bool:
    """Whether a name is of a loss or a score."""
    return _MEASURED.search(name) is not None or _LOSS.search(name) is not None


def _counters(line: str, state: State) -> tuple[Row, str]:
    """What a line counts, and the rest of it."""
    two = (
        (_TWO_PLACES.search(line) or _TIMM.search(line) or _WITH_SHARES.search(line)) if "[" in line else None
    )
    if two is not None:
        row: Row = {"epoch": two[1]}
        return {**row, "step": _counted_on(row, int(two[2]), int(two[3]), state)}, line[two.end() :]
    pair = _TWO_NUMBERS.search(line)
    if pair is not None:
        return {"epoch": pair[1], "batch": pair[2]}, line[pair.end() :]
    row = counters_in(line)
    placed = None if row else _PLACED.search(line)
    if placed is not None:
        return {"iteration": placed[1]}, f"{line[: placed.start(1)]}{line[placed.end() :]}"
    place = _PLACE.search(line) or _BATCHES.search(line)
    if place is not None and not row.keys() - {"epoch"}:
        row["step"] = _counted_on(row, int(place[1]), int(place[2]), state)
    return row, _BATCHES.sub(" ", _COUNTER.sub(" ", line))


def counters_in(line: str) -> Row:
    """What a line counts, as it stands there: ``{"epoch": "3", "step": "120"}``."""
    found: Row = {}
    for name, at, _total in _COUNTER.findall(line):
        found.setdefault(_SPELT.get(name.lower(), name.lower()), at.replace(",", ""))
    return found


def _remember(line: str, row: Row, rest: str, state: State) -> None:
    """A line that only counts, or only names the data: what stands below it belongs there."""
    if row:
        found = next(_COUNTER.finditer(line), None)
        alone = found is None or _LOGGER.fullmatch(line, 0, found.start()) or not re.search(r"\w", rest)
        if alone or not line[max(m.end() for m in _COUNTER.finditer(line)) :].strip():
            state.counters, state.last, state.held_out = row, {}, False
    elif _HEADING.match(line) and (said := _SET.search(line)) is not None:
        state.held_out = said[1] is None


def _metrics(text: str, state: State, *, held_out: bool) -> Row:
    """Names and numbers of a line, each name with the data that it is of."""
    if " is" in text or " was" in text:
        text = _VERB.sub(": ", text)
    text = _NESTED.sub(lambda found: _unnested(found[1], found[2]), text)
    text = _LOSS_OF_BOTH.sub(r"train_loss=\1 val_loss=\2 ", text)
    if _TWO_SETS.search(text):
        for both in (_BOTH, _BOTH_BEHIND):
            text = both.sub(r"train_\1=\2 val_\1=\3 ", text)
    pairs = list(_NAMED.finditer(text))
    if not any(
        is_measured(found["name"]) for found in pairs
    ):  # a place in a program is a name and a number as well
        pairs = list(_PAIR.finditer(text))
    else:
        ends = {found.end() for found in pairs}
        pairs += [found for found in _ONLY_DATA.finditer(text) if found.end() not in ends]
        pairs.sort(key=lambda found: found.start())
    said = list(_of_their_data(pairs, text, held_out))
    several = any(known for known, _, _ in said)
    values: Row = {}
    for known, name, value in said:
        values.setdefault(called(name, known, several=several), value)
    for found in pairs:
        unnamed = _UNNAMED.match(text, found.end()) if _LOSS.search(found["name"]) else None
        if unnamed is not None:
            second = f"{re.sub(r'[^a-z0-9]+', '_', found['name'].strip().lower())}_2"
            values[second] = unnamed[1]
            state.seconds.setdefault(found["name"].strip(), second)
    return _scores_of_their_losses(values)


def called(name: str, held_out: bool | None, *, several: bool) -> str:
    """A metric's name with the data that it is of, where it does not say so itself.

    Args:
        name: as it was printed.
        held_out: what the words before it say; None for nothing.
        several: whether others beside it are of held-out data.
    """
    if _NAMES_SET.search(name) or not is_measured(name):
        return name
    return f"val/{name}" if held_out else f"train/{name}" if several and held_out is False else name


def names_loss(text: str) -> bool:
    """Whether a text names a loss."""
    return _LOSS.search(text) is not None


def data_said(text: str) -> bool | None:
    """Whether the last word of a text that names data is of held-out data; None where none does."""
    known = None
    for word in _SET.finditer(text):
        known = word[1] is None
    return known


def _unnested(outer: str, inside: str) -> str:
    return re.sub(r"(\w+)=", lambda m: f"{outer if m[1] == outer else f'{outer}.{m[1]}'}=", inside)


def _of_their_data(
    pairs: list[re.Match[str]], text: str, held_out: bool
) -> Iterator[tuple[bool | None, str, str]]:
    """Whether held out (None: nothing says it), name and number of each pair; the best so far is no measurement."""
    known: bool | None = held_out or None
    end = 0
    for found in pairs:
        between = text[end : found.start()]
        end = found.end()
        known = known if (said := data_said(between)) is None else said
        name = re.sub(r"\s+", "_", HUMP.sub("_", found["name"].strip())).lower().removeprefix("the_")
        if name.endswith(_SOURCES):  # a place in a program
            continue
        if not _BEST.search(name) and not _BEST.search(re.split(r"[,;|]", between)[-1]):
            yield known, name, found["value"].replace(",", "")


def _scores_of_their_losses(values: Row) -> Row:
    """A score beside losses that are all of held-out data is of them too: ``val loss: 0.4 acc: 0.9``."""
    losses = [name for name in values if _LOSS.search(name)]
    if not losses or not all(NAMES_HELD_OUT.search(name) for name in losses):
        return values
    return {f"val/{n}" if _NAMES_SCORE.fullmatch(n) else n: value for n, value in values.items()}


def _counted_on(row: Row, at: int, total: int, state: State) -> int:
    """The step of a batch that is counted within its epoch; epochs begin at 0 or 1."""
    epoch = int((state.counters | row).get("epoch", 0))
    if state.first_epoch is None:
        state.first_epoch = min(epoch, 1)
    return max(0, epoch - state.first_epoch) * total + at


def changed(values: Row, state: State) -> Row:
    """Without what a progress bar goes on showing from an earlier evaluation or epoch."""
    held = {n: v for n, v in values.items() if NAMES_HELD_OUT.search(n) or n.endswith("_epoch")}
    stale = {name for name, value in held.items() if state.shown.get(name) == value}
    state.shown |= held
    return {name: value for name, value in values.items() if name not in stale}
