"""Adapters of one make take turns in one place on their base.

Peft gives every adapter modules of its own and walks over the whole model for each that is put on or made active. The
adapters of one training differ in the values of their matrices only, so those are copied into the place of the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.models import loading
from runscope.evaluation.models.adapters.adapter import MISFIT, Adapter, tensors_of

KEPT = 32
"""Adapters whose matrices are held in memory: a race comes back to the same few again and again."""
_NO_MATTER = {"base_model_name_or_path", "revision", "inference_mode", "peft_version"}
"""What a configuration says beside what the adapter is; the base is looked at by whoever loads it."""


class Slot:
    """One adapter of peft on a base, and the matrices that were put there.

    Args:
        model: the base with the adapter on it.
        name: of the adapter in the model.
        adapter: what was put on.

    Attributes:
        name: of the adapter in the model.
    """

    def __init__(self, model: Any, name: str, adapter: Adapter) -> None:
        self.name = name
        self._now: Path | None = adapter.folder
        self._make, self._shapes = _make(adapter), adapter.shapes
        self._places = _places(model, name, adapter)
        self._held: dict[Path, Mapping[str, Any]] = {}

    def takes(self, adapter: Adapter) -> bool:
        """Whether an adapter is there, or differs from what is there in nothing but the values of its matrices."""
        alike = adapter.shapes == self._shapes and _make(adapter) == self._make
        return adapter.folder == self._now or (bool(self._places) and alike)

    def put(self, adapter: Adapter) -> None:
        """Make an adapter that it takes the one that answers.

        Raises:
            InputError: its matrices cannot be read.
        """
        if adapter.folder == self._now:
            return
        if adapter.folder not in self._held:
            own = tensors_of(adapter.folder)
            self._held[adapter.folder] = {n: own[n].to(p.device, p.dtype) for n, p in self._places.items()}
        self._now = None  # half of an adapter is none
        for name, place in self._places.items():
            place.copy_(self._held[adapter.folder][name])
        self._now = adapter.folder
        if len(self._held) > KEPT:
            del self._held[next(iter(self._held))]


@contextmanager
def fitting(adapter: Adapter) -> Iterator[None]:
    """Whatever goes wrong while an adapter is put onto its base, said as what it is: it does not fit.

    Raises:
        InputError: peft, or what it calls, raised.
    """
    try:
        yield
    except Exception as error:  # of every kind
        raise InputError(
            f"the adapter in {adapter.folder} does not fit its base: {loading.first_line(error)}", hint=MISFIT
        ) from error


def _make(adapter: Adapter) -> dict[str, Any]:
    """All that its configuration says of what it is; peft keeps the modules as a set, and writes them in any order."""
    told = {k: v for k, v in adapter.config.items() if k not in _NO_MATTER}
    modules = told.get("target_modules")
    return told | {"target_modules": sorted(map(str, modules)) if isinstance(modules, list) else modules}


def _places(model: Any, name: str, adapter: Adapter) -> dict[str, Any]:
    """Where the model holds each tensor of the file; none where anything but these tensors might tell two apart."""
    from peft import get_peft_model_state_dict

    if adapter.config.get("peft_type") != "LORA" or adapter.alone:
        return {}
    found: dict[str, Any] = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    live = {p.data_ptr() for p in model.parameters()}
    same = {n: tuple(t.shape) for n, t in found.items()} == {n: tuple(s) for n, s in adapter.shapes.items()}
    return found if same and all(t.data_ptr() in live for t in found.values()) else {}
