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

from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "LOG005"
NAME = "unfinished"
ALL = 0.98


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the last run of the line stopped early."""
    if not view.timeline.line:
        raise CouldNotLook("the line is empty")
    last = view.timeline.line[-1]
    if last.run.state == "running":
        raise CouldNotLook("the run still goes on")
    done = _done(view)
    failed = last.run.state == "failed"
    if done is None and not failed:
        if last.run.state == "finished":
            return
        raise CouldNotLook("neither the plan nor the end of the run is recorded")
    share, plan = done if done is not None else (None, "")
    early = share is not None and share < ALL
    if not early and not failed:
        return
    error = next(
        (line for line in reversed(last.run.console) if "Error" in line or "Exception" in line), None
    )
    how = "failed with an error" if failed else "was killed" if last.run.state == "killed" else "stopped"
    came = (
        f" at {plan} ({100 * share:.0f}%)" if early and share is not None else f" at step {last.last_step:,}"
    )
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.95,
        first_step=last.last_step,
        last_step=last.last_step,
        message=f"{last.run.name} {how}{came}."
        + (f" Last error: {error.strip()[:160]}" if error and failed else ""),
        evidence={"done_share": share, "state": last.run.state, "error": error},
        fix=("Resume from the last checkpoint, unless you stopped it on purpose.",),
    )


def _done(view: View) -> tuple[float, str] | None:
    """Share of the plan that was run, and in words; None where no plan is recorded."""
    last = view.timeline.line[-1]
    steps = last.run.setting("max_steps")
    if steps is not None:
        share = last.run.last_step / steps
        return share, f"step {last.run.last_step:,} of the {steps:,.0f} planned"
    epochs = last.run.setting("num_train_epochs", "epochs")
    own = last.run.role("epoch")
    if epochs is None or own is None or not len(own.finite):
        return None
    reached = float(own.finite.value.max())
    if float(own.finite.value.min()) == 0 and (own.finite.value % 1 == 0).all():
        reached += 1  # epochs counted from 0: the last one was run
    return reached / epochs, f"epoch {reached:.3g} of {epochs:g}"
