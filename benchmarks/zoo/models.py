"""Small models: enough of each kind for its faults to be real."""

from __future__ import annotations

from itertools import pairwise

import torch
from data import LENGTH
from torch import Tensor, nn


def build(kind: str, inputs: int, classes: int, width: int, depth: int, gain: float) -> nn.Module:
    """A model by kind; ``gain`` multiplies its initial weights (1 is PyTorch's own choice)."""
    if kind in ("mlp", "sigmoid"):
        model: nn.Module = _mlp(inputs, classes, width, depth, nn.Sigmoid if kind == "sigmoid" else nn.ReLU)
    elif kind == "cnn":
        model = _cnn(classes, width)
    elif kind == "rnn":
        model = CharacterRnn(classes, width, depth)
    else:
        model = CharacterTransformer(classes, width, depth)
    if gain != 1.0:
        with torch.no_grad():
            for weights in model.parameters():
                if weights.dim() > 1:
                    weights.mul_(gain)
    return model


def _mlp(inputs: int, classes: int, width: int, depth: int, act: type[nn.Module]) -> nn.Module:
    sizes = [inputs] + [width] * depth
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))


def _cnn(classes: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * width, classes),
    )  # fmt: skip


class CharacterRnn(nn.Module):
    """Predicts the next character with a GRU."""

    def __init__(self, classes: int, width: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(classes, width)
        self.core = nn.GRU(width, width, depth, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length) codes → (batch, length, classes) logits."""
        return self.head(self.core(self.embed(x))[0])  # type: ignore[no-any-return]


class CharacterTransformer(nn.Module):
    """Predicts the next character with causal self-attention, layer norm first."""

    def __init__(self, classes: int, width: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(classes, width)
        self.place = nn.Parameter(0.02 * torch.randn(LENGTH, width))
        layer = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.core = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(LENGTH), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length) codes → (batch, length, classes) logits."""
        return self.head(self.core(self.embed(x) + self.place, mask=self.mask, is_causal=True))  # type: ignore[no-any-return]
