"""Trainings of one name are told apart wherever they stand side by side."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from runscope.history import Run, Series, Timeline
from runscope.rules import View
from runscope.verdict import Diagnosis, diagnose
from runscope.verdict.naming import told_apart


def training(reference: str) -> Diagnosis:
    loss = Series.of("loss", np.arange(3), np.ones(3))
    name = reference.rpartition("/")[2] or "x"
    run = Run(reference=reference, id=reference, name=name, source="test", series={"loss": loss})
    return diagnose(View(Timeline.of(run)))


def test_folders_of_one_name_are_called_by_what_differs() -> None:
    named = ["a/out", "b/out", "b/c/fine", "b/c/out", "a/out"]
    assert told_apart([training(n) for n in named]) == ["out", "b/out", "fine", "c/out", "out (2)"]


@example(["/", "b", "b/b", "b/b/"])
@given(st.lists(st.text("ab/", min_size=1, max_size=5), min_size=2, max_size=5))
def test_no_two_have_one_name(references: list[str]) -> None:
    names = told_apart([training(r) for r in references])
    assert len(set(names)) == len(names)
