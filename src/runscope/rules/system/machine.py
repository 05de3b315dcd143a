"""Which of the machine metrics that W&B and others log is which. No rule; the rules of this family share it."""

from __future__ import annotations

import re

import numpy as np

from runscope.history import Series
from runscope.rules.finding import View

_GPU_USE = re.compile(r"(?:^|[/.])gpu\.(?:process\.)?(\d+)\.gpu$")
_GPU_MEMORY = re.compile(r"(?:^|[/.])gpu\.(\d+)\.memoryAllocated$")
_PROCESS_MEMORY = re.compile(r"(?:^|[/.])proc\.memory\.rssMB$")
_MACHINE_MEMORY = re.compile(r"(?:^|[/.])(?:memory|memory_percent)$")


def last_system(view: View) -> tuple[dict[str, Series], str]:
    """Machine metrics of the last run that has any, with steps on the continuous axis, and the run's name."""
    for segment in reversed(view.timeline.line):
        if segment.run.system:
            return {name: segment.kept(s) for name, s in segment.run.system.items()}, segment.run.name
    return {}, ""


def gpu_use(system: dict[str, Series]) -> dict[int, Series]:
    """Utilisation of each GPU in percent; the machine's figure rather than the process's."""
    found: dict[int, Series] = {}
    for name, series in system.items():
        match = _GPU_USE.search(name)
        if match and len(series.finite) and (".process." not in name or int(match[1]) not in found):
            found[int(match[1])] = series.finite
    return found


def gpu_memory(system: dict[str, Series]) -> dict[int, Series]:
    """Share of each GPU's memory in use, in percent."""
    found: dict[int, Series] = {}
    for name, series in system.items():
        match = _GPU_MEMORY.search(name)
        if match and len(series.finite):
            found[int(match[1])] = series.finite
    return found


def memory(system: dict[str, Series]) -> dict[str, tuple[Series, float]]:
    """Memory curves by a name for people, each with its limit in its own unit (infinite where not known)."""
    found: dict[str, tuple[Series, float]] = {}
    for name, series in system.items():
        if not len(series.finite):
            continue
        if match := _GPU_MEMORY.search(name):
            found[f"memory of GPU {match[1]}, in percent,"] = (series.finite, 100.0)
        elif _PROCESS_MEMORY.search(name):
            found["memory of the process, in MB,"] = (series.finite, float("inf"))
        elif _MACHINE_MEMORY.search(name):
            found["memory of the machine, in percent,"] = (series.finite, 100.0)
    return found


def settled(series: Series) -> Series:
    """A curve without its first tenth, in which data is loaded and memory is first allocated."""
    return series.where(np.arange(len(series)) >= max(1, len(series) // 10))
