"""The run ended before what was planned.

*What it sees.* The configuration plans more steps (``max_steps``) or epochs (``num_train_epochs``) than the last run
of the line came to, by more than 2%; or the run is recorded as failed.

*Why it matters.* The best part of a schedule is often its end. A run that stopped early may have been stopped on
purpose (early stopping), or by an error that nobody saw.

*Example.* 4.1 of 6 epochs, state *failed*.

*What to try.* Resume from the last checkpoint; look at the last lines of its output for the error.

*Reference.* transformers, ``TrainingArguments.num_train_epochs`` and ``max_steps``.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.history.ending import Done, done
from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "LOG005"
NAME = "unfinished"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the last run of the line stopped early."""
    if not view.timeline.line:
        raise CouldNotLook("the line is empty")
    last = view.timeline.line[-1]
    if last.run.state == "running":
        raise CouldNotLook("the run still goes on")
    did = done(last.run)
    failed = last.run.state == "failed"
    if did is None and not failed:
        if last.run.state == "finished":
            return
        raise CouldNotLook("neither the plan nor the end of the run is recorded")
    early = did is not None and not did.all
    if not early and not failed:
        return
    error = next(
        (line for line in reversed(last.run.console) if "Error" in line or "Exception" in line), None
    )
    how = "failed with an error" if failed else "was killed" if last.run.state == "killed" else "stopped"
    came = f" at {_in_words(did)}" if early and did is not None else f" at step {last.last_step:,}"
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.95,
        first_step=last.last_step,
        last_step=last.last_step,
        message=f"{last.run.name} {how}{came}."
        + (f" Last error: {error.strip()[:160]}" if error and failed else ""),
        evidence={"done_share": None if did is None else did.share, "state": last.run.state, "error": error},
        fix=("Resume from the last checkpoint, unless you stopped it on purpose.",),
    )


def _in_words(did: Done) -> str:
    if did.unit == "step":
        return f"step {did.reached:,.0f} of the {did.planned:,.0f} planned ({100 * did.share:.0f}%)"
    return f"epoch {did.reached:.3g} of {did.planned:g} ({100 * did.share:.0f}%)"
