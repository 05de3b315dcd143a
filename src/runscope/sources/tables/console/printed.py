"""Lines that libraries print in a form of their own: boosting, JAX's metric writers, litgpt, ESPnet, Darknet, OpenNMT.

Each reader takes a line and gives its metrics by name, None where the line is not of its form.
"""

from __future__ import annotations

import re

Row = dict[str, str]

N = (
    r"(?>[-+]?(?:(?:\d{1,3}(?:,\d{3})+(?!,?\d)|\d++)(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?)"
    r"|[-+]?(?i:nan|inf(?:inity)?)\b"
)
"""A number as programs print it, never a part of one; a comma parts thousands only."""
PAIR = rf"[A-Za-z][\w'/.@ -]*?\s*[:=]\s*(?:{N})"
_BRACKETED = re.compile(rf"(?:^|\s)\[(\d+)\]:?\s+(?:collection=(\S+)\s+)?({PAIR}(?:[\s,|]+{PAIR})*)\s*$")
_PAIRS = re.compile(rf"([A-Za-z][\w'/.@ -]*?)\s*[:=]\s*({N})")
_CATBOOST = re.compile(rf"^(\d+):\s+learn: ({N})(?:\s+test: ({N}))?")
_LITGPT = re.compile(rf"\biter (\d+) step \d+ \| loss train: ({N})(?:,\s*val: ({N}|n/a))?")
_DARKNET = re.compile(rf"^\s*(\d+): ({N}), ({N}) avg(?: loss)?, ({N}) rate")
_ESPNET = re.compile(r"\b(\d+)epoch results: (.*)$")
_SECTION = re.compile(r"\[(\w+)\] ([^\[]*)")
_ESTIMATOR = re.compile(r"Saving dict for global step (\d+): (.*)$")
_OPENNMT = re.compile(rf"\bValidation (perplexity|accuracy|xent|ppl)\s*:\s*({N})")
_LLMC = re.compile(rf"^(?:s:)?(\d+) (trl|tel|eval|train|val|hella)[: ]({N})(?: lr:({N}) norm:({N}))?\s*$")
_OF_LLMC = {
    "trl": "train/loss", "train": "train/loss", "tel": "val/loss", "val": "val/loss",
    "eval": "hellaswag_accuracy", "hella": "hellaswag_accuracy",
}  # fmt: skip
_WENET = re.compile(rf"\bTRAIN Batch (\d+)/(\d+) loss ({N})")
_MARIAN = re.compile(rf"\bEp\. (\d+) : Up\. (\d+) : (?:.*?\bCost ({N})(.*)|([\w-]+) : ({N}) : .*)$")
_MARIAN_MORE = re.compile(rf"\b(gNorm|L\.r\.) ({N})")
_OF_MARIAN = {"gNorm": "grad_norm", "L.r.": "learning_rate"}
_TRAIN = ("train", "training", "learn")


def boosting(line: str) -> Row | None:
    """XGBoost's ``[3] train-logloss:0.5 eval-logloss:0.6``, LightGBM's, CatBoost's; ``[120] loss=0.5`` of clu.

    T5X names the data in front: ``[120] collection=train loss=0.5``.
    """
    found = _CATBOOST.match(line)
    if found is not None:
        row = {"iteration": found[1], "train/loss": found[2]}
        return row if found[3] is None else {**row, "test/loss": found[3]}
    found = _BRACKETED.search(line)
    if found is None:
        return None
    head = f"{found[2]}/" if found[2] else ""
    return {"iteration": found[1], **{f"{head}{_named(name)}": v for name, v in _PAIRS.findall(found[3])}}


def _named(name: str) -> str:
    """``train-logloss`` and ``training's logloss`` as ``train/logloss``."""
    parts = re.match(r"(\w+?)(?:'s |-)(.+)", name)
    if parts is None:
        return name.strip()
    return f"{'train' if parts[1] in _TRAIN else parts[1]}/{parts[2]}"


def litgpt(line: str) -> Row | None:
    """``Epoch 1 | iter 8 step 2 | loss train: 2.3, val: n/a | …``."""
    found = _LITGPT.search(line)
    if found is None:
        return None
    row = {"iter": found[1], "train/loss": found[2]}
    return row if found[3] in (None, "n/a") else {**row, "val/loss": found[3]}


def darknet(line: str) -> Row | None:
    """``120: 2.31, 2.42 avg loss, 0.001 rate, …``: the loss of the batch, and its running mean."""
    found = _DARKNET.match(line)
    if found is None:
        return None
    return {"iteration": found[1], "batch_loss": found[2], "avg_loss": found[3], "lr": found[4]}


def espnet(line: str) -> Row | None:
    """``3epoch results: [train] loss=2.1, …, [valid] loss=2.4, …``."""
    found = _ESPNET.search(line)
    if found is None:
        return None
    row = {"epoch": found[1]}
    for section, text in _SECTION.findall(found[2]):
        row |= {
            f"{section}/{name}": value for name, value in re.findall(rf"(\w+)=({N})(?=[,\s]|$)(?! \w)", text)
        }
    return row if len(row) > 1 else None


def estimator(line: str) -> Row | None:
    """``Saving dict for global step 200: loss = 0.5, …``: an evaluation of TensorFlow's Estimator."""
    found = _ESTIMATOR.search(line)
    if found is None:
        return None
    values = dict(_PAIRS.findall(found[2]))
    values.pop("global_step", None)
    return {"step": found[1], **{f"eval/{name}": value for name, value in values.items()}}


def opennmt(line: str) -> Row | None:
    """``Validation perplexity: 9.2``: of the step that was printed before it."""
    found = _OPENNMT.search(line)
    return None if found is None else {f"valid/{found[1]}": found[2]}


def llmc(line: str) -> Row | None:
    """``s:250 tel:3.71`` of llm.c, ``250 val 3.71`` of build-nanogpt: step, and loss of its data, or HellaSwag."""
    found = _LLMC.match(line)
    if found is None or not (line.startswith("s:") or re.search(r"[.n]", found[3])):
        return None
    row = {"step": found[1], _OF_LLMC[found[2]]: found[3]}
    return row if found[4] is None else {**row, "lr": found[4], "norm": found[5]}


def wenet(line: str) -> Row | None:
    """``TRAIN Batch 3/100 loss 12.5 …``: epoch, batch of the epoch, loss."""
    found = _WENET.search(line)
    return None if found is None else {"epoch": found[1], "batch": found[2], "loss": found[3]}


def marian(line: str) -> Row | None:
    """``Ep. 1 : Up. 500 : … : Cost 5.1 …`` and ``[valid] Ep. 1 : Up. 500 : cross-entropy : 70.3 : new best``."""
    found = _MARIAN.search(line)
    if found is None:
        return None
    row = {"epoch": found[1], "update": found[2]}
    if found[3] is None:
        return {**row, f"valid/{found[5].replace('-', '_')}": found[6]}
    return {
        **row,
        "loss": found[3],
        **{_OF_MARIAN[name]: value for name, value in _MARIAN_MORE.findall(found[4])},
    }
