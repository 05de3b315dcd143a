"""Data that ships with scikit-learn or with Python: nothing is fetched."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Data:
    """Examples for training, for the held-out curve that the rules may see, and for the truth they never see."""

    train: tuple[Tensor, Tensor]
    seen: tuple[Tensor, Tensor]
    unseen: tuple[Tensor, Tensor]
    classes: int


def load(task: str, train_size: int, seed: int, wrong_labels: float = 0.0) -> Data:
    """Split a task in three at random; ``wrong_labels`` is the share of training labels drawn at random."""
    x, y, classes = _text() if task == "text" else _table(task)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    held = min((len(x) - train_size) // 2, 400)
    parts = [order[:train_size], order[train_size : train_size + held], order[-held:]]
    train_x, train_y = x[parts[0]], y[parts[0]].clone()
    if wrong_labels and y.dim() == 1:
        rng = torch.Generator().manual_seed(seed + 1)
        wrong = torch.rand(len(train_y), generator=rng) < wrong_labels
        train_y[wrong] = torch.randint(0, classes, (int(wrong.sum()),), generator=rng)
    return Data((train_x, train_y), (x[parts[1]], y[parts[1]]), (x[parts[2]], y[parts[2]]), classes)


@cache
def _table(task: str) -> tuple[Tensor, Tensor, int]:
    from sklearn import datasets

    loader = {
        "digits": datasets.load_digits,
        "cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
    }
    bunch = loader[task]()
    x = np.asarray(bunch.data, dtype=np.float32)
    x = (x - x.mean(0)) / (x.std(0) + 1e-6)
    return (
        torch.from_numpy(x),
        torch.from_numpy(np.asarray(bunch.target, dtype=np.int64)),
        len(set(bunch.target)),
    )


LENGTH = 32


@cache
def _text() -> tuple[Tensor, Tensor, int]:
    """Windows of characters of the standard library's own sources; the target is the next character."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    names = (
        "argparse",
        "ast",
        "calendar",
        "configparser",
        "csv",
        "difflib",
        "enum",
        "heapq",
        "inspect",
        "shutil",
    )
    text = "".join((folder / f"{name}.py").read_text(encoding="utf-8") for name in names)
    codes = torch.tensor([min(ord(c), 127) for c in text])
    count = (len(codes) - 1) // LENGTH
    windows = codes[: count * LENGTH + 1]
    x = windows[:-1].reshape(count, LENGTH)
    return x, windows[1:].reshape(count, LENGTH), 128
