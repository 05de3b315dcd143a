"""Small models: enough of each kind for its faults to be real."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import torch
from data import LENGTH, text
from torch import Tensor, nn
from torch.nn import functional

PRETRAIN_STEPS, PRETRAIN_BATCH = 300, 32
ADAPTER_RANK = 8
# The fused path of evaluation reads the weights of the linear layers and would pass the adapters by.
torch.backends.mha.set_fastpath_enabled(False)


def build(
    kind: str, inputs: int, outputs: int, width: int, depth: int, gain: float, dropout: float
) -> nn.Module:
    """A model by kind; ``gain`` multiplies its initial weights (1 is PyTorch's own choice)."""
    model: nn.Module
    if kind in ("mlp", "sigmoid"):
        act = nn.Sigmoid if kind == "sigmoid" else nn.ReLU
        model = _mlp(inputs, outputs, width, depth, act, dropout)
    elif kind == "residual":
        model = Residual(inputs, outputs, width, depth)
    elif kind == "cnn":
        model = _cnn(outputs, width)
    elif kind in ("gru", "lstm"):
        model = CharacterRnn(outputs, width, depth, nn.GRU if kind == "gru" else nn.LSTM)
    elif kind in ("finetune", "adapter"):
        model = _pretrained(outputs, width, depth, adapter=kind == "adapter")
    else:
        model = CharacterTransformer(outputs, width, depth)
    if gain != 1.0:
        with torch.no_grad():
            for weights in model.parameters():
                if weights.dim() > 1:
                    weights.mul_(gain)
    return model


def _mlp(
    inputs: int, outputs: int, width: int, depth: int, act: type[nn.Module], dropout: float
) -> nn.Module:
    sizes = [inputs] + [width] * depth
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), act(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))


def _cnn(outputs: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * width, outputs),
    )  # fmt: skip


class Residual(nn.Module):
    """Blocks of layer norm, two linear layers and a skip."""

    def __init__(self, inputs: int, outputs: int, width: int, depth: int) -> None:
        super().__init__()
        self.into = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
            )
            for _ in range(depth)
        )
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs) → (batch, outputs)."""
        x = self.into(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)  # type: ignore[no-any-return]


class CharacterRnn(nn.Module):
    """Predicts the next character with a GRU or an LSTM."""

    def __init__(self, codes: int, width: int, depth: int, core: type[nn.GRU] | type[nn.LSTM]) -> None:
        super().__init__()
        self.embed = nn.Embedding(codes, width)
        self.core = core(width, width, depth, batch_first=True)
        self.head = nn.Linear(width, codes)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length) codes → (batch, length, codes) logits."""
        return self.head(self.core(self.embed(x))[0])  # type: ignore[no-any-return]


class CharacterTransformer(nn.Module):
    """Predicts the next character with causal self-attention, layer norm first."""

    def __init__(self, codes: int, width: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(codes, width)
        self.place = nn.Parameter(0.02 * torch.randn(LENGTH, width))
        layer = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.core = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, codes)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(LENGTH), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length) codes → (batch, length, codes) logits."""
        return self.head(self.core(self.embed(x) + self.place, mask=self.mask, is_causal=True))  # type: ignore[no-any-return]


class Adapter(nn.Module):
    """A frozen linear layer plus a product of two narrow ones that are trained (LoRA, Hu et al. 2021)."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(ADAPTER_RANK, base.in_features) / base.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, ADAPTER_RANK))

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
        return self.base(x) + 2 * (x @ self.down.T) @ self.up.T  # type: ignore[no-any-return]


def _pretrained(codes: int, width: int, depth: int, *, adapter: bool) -> nn.Module:
    """A transformer that has learned the task ``text``; with an adapter only that is trained on."""
    model = CharacterTransformer(codes, width, depth)
    model.load_state_dict(_base(codes, width, depth))
    if adapter:
        model.requires_grad_(False)
        for layer in model.core.layers:
            layer.linear1, layer.linear2 = Adapter(layer.linear1), Adapter(layer.linear2)
        model.head = Adapter(model.head)
    return model


@cache
def _base(codes: int, width: int, depth: int) -> dict[str, Tensor]:
    """Weights after a short pre-training; the random state outside is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CharacterTransformer(codes, width, depth)
        optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
        x, y, _ = text("text")
        for _ in range(PRETRAIN_STEPS):
            index = torch.randint(len(x), (PRETRAIN_BATCH,))
            loss = functional.cross_entropy(model(x[index]).flatten(0, 1), y[index].flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.state_dict()
