"""The run trains on other data since it was resumed.

*What it sees.* From the join on the training loss stands on another level and stays there, or is learned down from a
level that has nothing to do with the beginning of the training; learning rate and (at first) the held-out loss go on.

*Why it matters.* It is another training from there on: losses before and after cannot be compared, the model may
forget what it learned before, and a trend over the join means nothing.

*Example.* 1.7 before the join, 2.3 ever after it, while the held-out loss goes on at 1.8.

*What to try.* Compare path, split, template, filters and maximum length of the data of both runs. If it was meant,
judge the parts on their own: ``runscope diagnose --each A B``, and evaluate on held-out examples of both.

*Reference.* Ibrahim et al. 2024 (arXiv 2403.08763) on continued training and forgetting.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.finding import Finding, View
from runscope.rules.resume.saying import accused, conclusion, finding

CODE = "RES006"
NAME = "other-data"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding for each join after which the data is most likely another."""
    for resume, answer, sure in accused(view, "other_data"):
        leap = answer.jump
        calm = answer.held_out is not None and abs(answer.held_out) < 0.15
        held_out = " The held-out loss went on, so the weights are not the cause." if calm else ""
        yield finding(
            (CODE, NAME), "warning", (resume, answer, sure), "other_data",
            f"the training loss went from {leap.expected.level:.3g} to {leap.first:.3g}: "
            f"{conclusion(answer, 'other_data', 'it trains on other data from there on')}.{held_out}",
            (
                "Compare the data of both runs: path, split, template, filters, maximum length.",
                "If it was meant, judge the parts on their own: runscope diagnose --each.",
            ),
        )  # fmt: skip
