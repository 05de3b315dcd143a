"""The optimiser's state was lost where the run was resumed.

*What it sees.* At the join the training loss jumps by more than its noise, by less than all that was learned, and
comes back within some hundred steps; the gradient norm begins high and calms down; the learning rate does not warm up
again. With a discarded tail the same batches are compared with each other, and a much smaller rise is seen.

*Why it matters.* Adam without its moments takes steps of full size in every direction until it has measured the
gradients again. The training heals, but the steps until then are lost, and an adapter may end elsewhere.

*Example.* 1.66 expected, 2.26 at the first step after the join, back after 300 steps.

*What to try.* Save and load the optimiser: ``optimizer.pt`` must lie in the checkpoint (``save_only_model=False``);
under Accelerate use ``save_state`` and ``load_state`` with the optimiser prepared; in a plain loop load
``optimizer.state_dict()``. Where it is gone for good: warm the learning rate up over some hundred steps.

*Reference.* Kingma & Ba 2015 (Adam), section 3: bias correction and the first steps; measured on
``benchmarks/resumes``.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.finding import Finding, View
from runscope.rules.resume.saying import SURE, accused, conclusion, evidence, settings, where
from runscope.stats.resumes.causes import Answer

CODE = "RES002"
NAME = "optimiser-lost"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding for each join at which the optimiser's state was most likely lost."""
    for resume, answer, sure in accused(view, "optimiser"):
        back = answer.jump.back_after
        last = resume.step if back is None else resume.step + int(back)
        yield Finding(
            code=CODE,
            name=NAME,
            severity="warning",
            probability=round(sure, 3),
            first_step=resume.step,
            last_step=last,
            message=(
                f"{where(resume)} {_rise(answer)}: {conclusion(answer, 'optimiser')}.{_norm(answer)}"
                f"{_cost(answer) if answer.jump.z > 2 and sure >= SURE else ''}{settings(resume, 'optimiser')}"
            ),
            evidence=evidence(answer, resume),
            fix=(
                "Save and load the optimiser's state with the weights: optimizer.pt in the checkpoint "
                "(save_only_model=False), accelerator.load_state, or optimizer.load_state_dict.",
                "Where it is gone: warm the learning rate up over a few hundred steps after the join.",
            ),
        )


def _rise(answer: Answer) -> str:
    leap = answer.jump
    if leap.z < 2 and answer.order.again is not None:
        by = answer.order.above * leap.expected.noise
        return f"the training loss lies about {by:.2g} above what the same steps had before"
    return f"the training loss jumped to {leap.first:.3g} where {leap.expected.level:.3g} was expected"


def _norm(answer: Answer) -> str:
    norms = answer.norms
    if norms is None or norms.first < 1.3:
        return ""
    return f" The gradient norm began {norms.first:.1f} times as high as before."


def _cost(answer: Answer) -> str:
    leap = answer.jump
    said = (
        "" if leap.fades_over is None else f" The jump faded over about {max(leap.fades_over, 1):,.0f} steps."
    )
    if leap.back_after is not None:
        return f"{said} It cost about {max(leap.back_after, 1):,.0f} steps until the loss was back on its course."
    return said
