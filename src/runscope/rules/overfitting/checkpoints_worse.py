"""Evaluated on held-out examples, later checkpoints are worse than an earlier one.

*What it sees.* The checkpoints that ``runscope evaluate`` (or ``report`` and ``watch`` with ``--data``) loaded and ran
on held-out examples: the last one is worse than the best one by more than chance explains, compared example by example
and corrected for their number, and by at least ``--min-effect``. Nothing is inferred from a curve: this is the proof.

It is critical where the last checkpoint is worse by a tenth of the best one's score, a warning below.

*Why it matters.* Whoever uses the last checkpoint uses a worse model than was already there.

*Example.* Step 30,000 is worse than step 15,000 by 0.41 nats per token (95% interval 0.33 to 0.49, p < 0.001, paired on
216 examples).

*What to try.* Use the best checkpoint. Next time end there, with fewer epochs or early stopping on a held-out loss.

*Reference.* ``docs/evaluation.md`` explains the comparison; Dodge et al. 2020, «Fine-tuning pretrained language models»
(arXiv 2002.06305), on early stopping and how much seeds alone do.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.overfitting.eval_loss_rising import MUCH, when

CODE = "OVF008"
NAME = "checkpoints-worse"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the evaluated checkpoints say so."""
    study = view.evaluated
    if study is None:
        raise CouldNotLook("no checkpoint was evaluated on held-out examples")
    if study.outcome != "overfit" or study.effect is None:
        return
    level = abs(study.best_mean or 0.0)
    percent = 100 * abs(study.effect) / level if level else float("inf")
    last = max((c.step for c in view.checkpoints if c.step is not None and not c.abandoned), default=None)
    best = study.best.step
    kept = when(view, best) if best is not None else study.best.title
    commit = f", commit {study.best.revision[:8]}" if study.best.revision else ""
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical" if percent >= MUCH else "warning",
        probability=round(min(0.99, 1 - (study.p_value or 0.0)), 3),
        first_step=study.onset_step if study.onset_step is not None else best,
        last_step=last,
        message=f"Evaluated on held-out examples: {study.reason}",
        evidence={
            "best_step": best,
            "metric": study.metric,
            "effect": round(study.effect, 6),
            "effect_pct": round(percent, 3) if level else None,
            "min_effect": study.min_effect,
            "p_value": study.p_value,
        },
        fix=(
            f"Use {kept}{commit}.",
            "Next time stop there: fewer epochs, or early stopping on a held-out loss.",
        ),
    )
