"""The table of all rules. A code is never reused."""

from __future__ import annotations

from types import ModuleType

from runscope.rules.checkpoints import (
    adapter_size,
    best_not_saved,
    missing_steps,
    norm_growing,
    unchanged,
)
from runscope.rules.checkpoints import non_finite as non_finite_weights
from runscope.rules.finding import Rule
from runscope.rules.gradients import (
    always_clipped,
    dead_layers,
    exploding,
    exploding_layers,
    growing,
    non_finite,
    vanishing,
    vanishing_layers,
)
from runscope.rules.logging import (
    continued,
    duplicates,
    gaps,
    going_back,
    killed,
    reinforcement,
    sparse,
    unfinished,
)
from runscope.rules.loss import (
    divergence,
    exactly_zero,
    nan,
    never_learned,
    oscillation,
    other_scale,
    plateau,
    spikes,
)
from runscope.rules.overfitting import (
    best_long_past,
    checkpoints_worse,
    eval_loss_rising,
    gap_widening,
    loss_too_low,
    metric_disagrees,
    metric_worse,
    no_held_out,
    stairs_at_epochs,
)
from runscope.rules.resume import (
    clean,
    data,
    optimiser,
    other_data,
    repeated,
    scale,
    weights,
)
from runscope.rules.resume import schedule as schedule_restored
from runscope.rules.rl import (
    answers_cut,
    chosen_less_likely,
    entropy_collapse,
    kl_running_away,
    large_updates,
    margins_without_accuracy,
    no_variance,
    reward_by_length,
    reward_fell,
    reward_flat,
    saturated_margins,
)
from runscope.rules.schedule import (
    cut_off,
    near_zero,
    no_warmup,
    range_test,
    which,
)
from runscope.rules.system import idle_gpu, memory_growing, step_time

MODULES: tuple[ModuleType, ...] = (
    best_not_saved,
    missing_steps,
    adapter_size,
    unchanged,
    non_finite_weights,
    norm_growing,
    vanishing,
    vanishing_layers,
    exploding,
    non_finite,
    always_clipped,
    dead_layers,
    growing,
    exploding_layers,
    going_back,
    duplicates,
    gaps,
    sparse,
    unfinished,
    killed,
    reinforcement,
    continued,
    nan,
    divergence,
    spikes,
    plateau,
    never_learned,
    exactly_zero,
    oscillation,
    other_scale,
    eval_loss_rising,
    gap_widening,
    stairs_at_epochs,
    loss_too_low,
    metric_disagrees,
    best_long_past,
    no_held_out,
    checkpoints_worse,
    metric_worse,
    weights,
    optimiser,
    schedule_restored,
    data,
    scale,
    other_data,
    repeated,
    clean,
    saturated_margins,
    no_variance,
    reward_fell,
    kl_running_away,
    large_updates,
    entropy_collapse,
    answers_cut,
    reward_by_length,
    margins_without_accuracy,
    chosen_less_likely,
    reward_flat,
    which,
    cut_off,
    near_zero,
    no_warmup,
    range_test,
    idle_gpu,
    memory_growing,
    step_time,
)
"""Sorted by code."""


def _rule(module: ModuleType) -> Rule:
    family = module.__name__.split(".")[-2]
    return Rule(
        code=module.CODE,
        name=module.NAME,
        family=family,
        look=module.look,
        manual=module.__doc__ or "",
        status=getattr(module, "STATUS", "stable"),
    )


RETIRED = {"SCH005": "RES003"}
"""Codes that are not used any more, and the rule that says it now."""

RULES: dict[str, Rule] = {rule.code: rule for rule in map(_rule, MODULES)}
