"""Data that ships with scikit-learn or with Python: nothing is fetched."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

LENGTH = 32
HELD_OUT, HELD_OUT_WINDOWS = 400, 200
CODES = 128


@dataclass(frozen=True)
class Data:
    """Examples for training, for the held-out curve that the rules may see, and for the truth they never see."""

    train: tuple[Tensor, Tensor]
    seen: tuple[Tensor, Tensor]
    unseen: tuple[Tensor, Tensor]
    outputs: int


def load(task: str, train_size: int, seed: int, wrong_labels: float = 0.0) -> Data:
    """Split a task in three at random; ``wrong_labels`` is the share of training labels drawn at random."""
    x, y, outputs = text(task) if task.startswith("text") else _table(task)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    held = min((len(x) - train_size) // 2, HELD_OUT_WINDOWS if task.startswith("text") else HELD_OUT)
    parts = [order[:train_size], order[train_size : train_size + held], order[-held:]]
    train_x, train_y = x[parts[0]], y[parts[0]].clone()
    if wrong_labels:
        rng = torch.Generator().manual_seed(seed + 1)
        wrong = torch.rand(len(train_y), generator=rng) < wrong_labels
        train_y[wrong] = torch.randint(0, outputs, (int(wrong.sum()),), generator=rng)
    return Data((train_x, train_y), (x[parts[1]], y[parts[1]]), (x[parts[2]], y[parts[2]]), outputs)


@cache
def _table(task: str) -> tuple[Tensor, Tensor, int]:
    """Standardised inputs; classes as integers, or a standardised quantity to be predicted."""
    from sklearn import datasets

    loader = {
        "digits": datasets.load_digits,
        "cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "diabetes": datasets.load_diabetes,
    }
    if task in loader:
        bunch = loader[task]()
        x, y = bunch.data, bunch.target
    elif task == "moons":
        x, y = datasets.make_moons(3000, noise=0.35, random_state=0)
    elif task in ("wave", "wave-noisy"):
        # Exactly known, so that the loss falls by orders of magnitude; with noise it stops falling.
        x = np.random.default_rng(0).uniform(-2, 2, (3000, 3))
        y = np.sin(x[:, 0]) * np.cos(x[:, 1]) + 0.3 * x[:, 2] ** 2
        y = 0.03 * (
            y + (0.3 if task == "wave-noisy" else 0.0) * np.random.default_rng(1).standard_normal(len(x))
        )
    elif task == "friedman":
        x, y = datasets.make_friedman1(3000, noise=2.0, random_state=0)
    else:
        x, y = datasets.make_classification(
            4000, n_features=24, n_informative=10, n_classes=6, flip_y=0.1, random_state=0
        )
    x = np.asarray(x, dtype=np.float32)
    x = torch.from_numpy((x - x.mean(0)) / (x.std(0) + 1e-6))
    if task.startswith("wave"):
        return x, torch.from_numpy(np.asarray(y, dtype=np.float32)), 1
    if task in ("diabetes", "friedman"):
        return x, torch.from_numpy(np.asarray((y - y.mean()) / y.std(), dtype=np.float32)), 1
    return x, torch.from_numpy(np.asarray(y, dtype=np.int64)), len(set(y))


_MODULES = {
    "text": "argparse ast calendar configparser csv difflib enum heapq inspect shutil",
    "text-other": "decimal fractions statistics random turtle textwrap typing tarfile zipfile/__init__ ssl",
}


@cache
def text(task: str) -> tuple[Tensor, Tensor, int]:
    """Windows of characters of the standard library's own sources; the target is the next character."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = [folder / f"{name}.py" for name in _MODULES[task].split()]
    whole = "".join(f.read_text(encoding="utf-8") for f in files if f.exists())
    codes = torch.tensor([min(ord(c), CODES - 1) for c in whole])
    count = (len(codes) - 1) // LENGTH
    windows = codes[: count * LENGTH + 1]
    x = windows[:-1].reshape(count, LENGTH)
    return x, windows[1:].reshape(count, LENGTH), CODES
