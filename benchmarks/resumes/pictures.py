"""Draw the pictures of ``docs/resumes.md``: one real join for each cause.

python benchmarks/resumes/pictures.py benchmarks/resumes/curves.jsonl.gz docs/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from records import Known, read

from runscope.rules import View
from runscope.rules.resume.answers import answers
from runscope.stats.resumes.join import NOTHING

SHOWN = {
    "weights": "trainer-large-2-fresh_weights", "optimiser": "accelerate-large-1-lost_optimiser",
    "schedule": "trainer-large-1-lost_both", "data": "trainer-medium-1-data_replayed",
    "scale": "trainer-medium-2-loss_summed", "other-data": "trl-medium-1-other_data",
    "clean": "trainer-medium-1-clean",
}  # fmt: skip
ROLES = (("loss", "training loss"), ("learning_rate", "learning rate"), ("grad_norm", "gradient norm"))
BEFORE, AFTER, INK, SOFT = "#0072b2", "#c4530a", "#1c2024", "#5b6570"


def draw(one: Known, path: Path) -> str:
    """Three charts side by side; what runscope says of the join."""
    (told,) = answers(View(one.line))
    join, answer = told.resume.join, told.resume.answer
    figure = Figure(figsize=(9, 2.2), layout="constrained")
    for axis, (role, title) in zip(figure.subplots(1, 3), ROLES, strict=True):
        before, after, tail = (part.get(role, NOTHING) for part in (join.before, join.after, join.tail))
        axis.plot(before.x, before.y, color=BEFORE, linewidth=1)
        axis.plot(tail.x, tail.y, color=BEFORE, linewidth=0.9, linestyle=":")
        axis.plot(after.x, after.y, color=AFTER, linewidth=1)
        if answer is not None and role == "loss":
            axis.plot(after.x, answer.jump.expected.value(after.x), color=INK, linewidth=1, linestyle="--")
        if (
            answer is not None
            and role == "learning_rate"
            and answer.rate is not None
            and len(answer.rate.course)
        ):
            axis.plot(after.x, answer.rate.course, color=INK, linewidth=1, linestyle="--")
        axis.axvline(join.start, color=SOFT, linewidth=0.8)
        axis.set_title(title, fontsize=9, loc="left", color=INK)
        axis.tick_params(labelsize=7, colors=SOFT, length=0)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    return told.finding.message if told.finding is not None else told.short


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "runscope"}
    known = {k.about["join"]: k for k in read(given.file, tails=True)}
    for cause, name in SHOWN.items():
        print(f"{cause}: {draw(known[name], given.folder / f'resume-{cause}.svg')}")


if __name__ == "__main__":
    main()
