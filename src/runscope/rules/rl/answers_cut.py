"""Most answers are cut off before they end.

*What it sees.* In the last third of the steps more than half of the sampled answers reached the longest length that
is allowed (``completions/clipped_ratio``, ``response_length/clip_ratio``).

*Why it matters.* An answer that was cut has no end and often no result: its reward is that of a failure, whatever it
was about to say. What is learned then is to be short, or nothing.

*Example.* ``completions/clipped_ratio`` 0.9, ``completions/mean_length`` 250 of ``max_completion_length=256``.

*What to try.* A larger ``max_completion_length``; look whether the model writes its end token at all; a penalty that
grows softly near the limit; ``mask_truncated_completions=True``.

*Reference.* Yu et al. 2025 (DAPO, arXiv 2503.14476), section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import Finding, View
from runscope.rules.rl.rewards import at_last, named, need_named, tail

CODE = "RWD007"
NAME = "answers-cut-off"
CUT = ("completions_clipped_ratio", "train_completions_clipped_ratio", "response_length_clip_ratio")
LENGTH = ("completions_mean_length", "train_completions_mean_length", "response_length_mean")
HALF, NEARLY = 0.5, 0.9
FEWEST = 6


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where most of the last answers were cut."""
    cut = need_named(view, CUT, "share of answers that were cut off", FEWEST)
    last = tail(cut)
    share = float(np.median(last.value))
    if share <= HALF:
        return
    length = named(view, LENGTH)
    long = f", at {at_last(length):.0f} tokens on average" if length is not None and len(length) else ""
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        probability=0.95 if share > NEARLY else 0.85,
        first_step=int(last.step[0]),
        last_step=int(last.step[-1]),
        message=(
            f"{100 * share:.0f}% of the answers are cut off in the last third of the run{long}: they never come "
            "to their end."
        ),
        evidence={"share": round(share, 4), "steps": len(cut)},
        fix=(
            "Allow longer answers (max_completion_length), or leave out those that were cut "
            "(mask_truncated_completions=True).",
            "Look whether the model writes its end token at all.",
        ),
    )
