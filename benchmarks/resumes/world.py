"""Data and models: characters of what ships with Python, and networks of a few thousand weights."""

from __future__ import annotations

import sysconfig
from functools import cache
from pathlib import Path

import torch
from setup import Setup
from torch import Tensor, nn
from torch.nn import functional

LENGTH, CODES = 24, 128
HELD_OUT = 96
_FILES = {
    "text": "argparse ast calendar configparser csv difflib enum heapq inspect shutil",
    "other": "decimal fractions statistics random turtle textwrap typing tarfile ssl zipapp",
    "prose": "LICENSE.txt this.py",
    "digits": "",
}


@cache
def windows(corpus: str) -> Tensor:
    """(n, LENGTH + 1) windows of character codes, in an order of their own."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    if corpus == "digits":
        whole = " ".join(str(n * n * n % 99991) for n in range(40000))
    elif corpus == "prose":
        texts = [(folder / f"{m}.py").read_text(encoding="utf-8") for m in ("typing", "argparse", "turtle")]
        whole = " ".join(w.upper() for t in texts for w in t.split() if w.isalpha())
    else:
        files = [folder / f"{name}.py" for name in _FILES[corpus].split()]
        whole = "".join(f.read_text(encoding="utf-8") for f in files if f.exists())
    codes = torch.tensor([min(ord(c), CODES - 1) for c in whole])
    count = (len(codes) - 1) // LENGTH
    cut = torch.stack([codes[n * LENGTH : (n + 1) * LENGTH + 1] for n in range(count)])
    return cut[torch.randperm(count, generator=torch.Generator().manual_seed(0))]


def examples(setup: Setup, corpus: str | None = None) -> tuple[Tensor, Tensor]:
    """Training and held-out windows."""
    known = windows(corpus or setup.corpus)
    return known[HELD_OUT : HELD_OUT + setup.epoch_steps * setup.batch], windows(setup.corpus)[:HELD_OUT]


def order(setup: Setup, epoch: int, count: int, seed: int = 0) -> Tensor:
    """Order of the examples in an epoch."""
    made = torch.Generator().manual_seed(1000 * setup.seed + epoch + 7919 * seed)
    return torch.randperm(count, generator=made)


class Recurrent(nn.Module):
    """Predicts the next character with a GRU."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.into = nn.Embedding(CODES, width)
        self.core = nn.GRU(width, width, depth, batch_first=True)
        self.head = nn.Linear(width, CODES)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length) → (batch, length, codes)."""
        return self.head(self.core(self.into(x))[0])  # type: ignore[no-any-return]


def recurrent(setup: Setup, seed: int = 0) -> Recurrent:
    """A small one."""
    torch.manual_seed(100 * setup.seed + seed)
    return Recurrent(setup.width, setup.depth)


def gpt(setup: Setup, seed: int = 0) -> nn.Module:
    """A GPT-2 of a few thousand weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(100 * setup.seed + seed)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=CODES, n_embd=setup.width, n_layer=setup.depth, n_head=4, n_positions=LENGTH + 8,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0, pad_token_id=0,
        )
    )  # fmt: skip


def loss_of(model: nn.Module, batch: Tensor) -> Tensor:
    """Cross-entropy of the next character, in nats."""
    logits = model(batch[:, :-1])
    logits = getattr(logits, "logits", logits)
    return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(model: nn.Module, held_out: Tensor) -> float:
    """Mean over the held-out windows."""
    model.eval()
    value = float(loss_of(model, held_out))
    model.train()
    return value
