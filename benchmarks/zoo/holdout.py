"""Trainings that nothing was fitted on: other tasks, other models, other seeds.

Written down before the calibration was fitted. A rule that is changed because of one of them is no longer proved by
it; ``docs/diagnosis.md`` says where that happened.
"""

from __future__ import annotations

from dataclasses import replace

from recipe import Recipe, many

_TABLE = Recipe("", "none", "classes", "residual", 2000, 400, 1e-3, width=32)
_MOONS = replace(_TABLE, task="moons", model="mlp", train_size=1000, steps=300, rate=3e-3)
_FRIEDMAN = replace(_TABLE, task="friedman", model="mlp", train_size=2000, steps=400, rate=1e-3)
_LSTM = replace(
    _TABLE,
    task="text-other",
    model="lstm",
    train_size=8000,
    steps=400,
    depth=1,
    width=48,
    rate=4e-3,
    batch=16,
)
_GPT = replace(_LSTM, model="transformer", depth=3, width=32, rate=2e-3)
_LORA = replace(_GPT, model="adapter", depth=2, width=48, rate=3e-3, steps=300)
_TWO, _THREE, _FOUR = range(101, 103), range(101, 104), range(101, 105)


def recipes() -> list[Recipe]:
    """All trainings."""
    made = [
        *_healthy(),
        *_overfitted(),
        *_between(),
        *_broken(),
        *_after_the_first_look(),
        *_other_kinds(),
        *_stairs(),
    ]
    assert len({r.name for r in made}) == len(made)
    return made


def _healthy() -> list[Recipe]:
    return [
        *many("residual", _TABLE, _THREE, steps=120),
        *many("moons", _MOONS, _THREE, width=16),
        *many("friedman", _FRIEDMAN, _THREE, steps=250, dropout=0.1),
        *many("lstm", _LSTM, _THREE),
        *many("gpt3", _GPT, _THREE),
        *many("gpt3-linear", _GPT, _TWO, schedule="linear", weight_decay=0.01),
        *many("lora", _LORA, _THREE),
        *many("lora-sparse", _LORA, _TWO, log_every=15),
        *many("residual-sgd", _TABLE, _TWO, optimiser="sgd", rate=0.01, steps=150),
    ]


def _overfitted() -> list[Recipe]:
    few = {"fault": "overfit", "train_size": 150}
    return [
        *many("residual-few", _TABLE, _FOUR, **few, steps=600),
        *many("moons-few", _MOONS, _THREE, **few, steps=1500, width=96, depth=3),
        *many("friedman-few", _FRIEDMAN, _THREE, **few, steps=900, width=96),
        *many("lstm-few", _LSTM, _THREE, **few, steps=500),
        *many("gpt3-few", _GPT, _THREE, **few, steps=400, width=64),
        *many("lora-few", _LORA, _THREE, **few, steps=400),
    ]


def _between() -> list[Recipe]:
    made = []
    for number, size in enumerate((200, 400, 800, 1600)):
        made += many(f"lora-{size}", _LORA, range(111, 113), train_size=size, steps=250 + 50 * number)
        made += many(f"lstm-{size}", _LSTM, range(111, 113), train_size=size, steps=300)
        made += many(f"residual-{size}", _TABLE, range(111, 113), train_size=size, steps=300)
        made += many(f"friedman-{size}", _FRIEDMAN, range(111, 112), train_size=size, steps=500)
        made += many(f"moons-{size}", _MOONS, range(111, 112), train_size=size, steps=600)
    return made


def _broken() -> list[Recipe]:
    sgd = {"optimiser": "sgd", "clip": 0.0}
    return [
        *many("residual-fast", _TABLE, _TWO, fault="divergence", **sgd, rate=20.0, schedule="warmup"),
        *many("lstm-fast", _LSTM, _TWO, fault="divergence", rate=1.0, clip=0.0, schedule="warmup"),
        *many(
            "moons-sigmoid",
            _MOONS,
            _TWO,
            fault="vanishing",
            model="sigmoid",
            depth=12,
            optimiser="sgd",
            rate=0.05,
        ),
        *many("moons-loud", _MOONS, _TWO, fault="exploding", gain=6.0, depth=10, width=48, **sgd, rate=1e-3),
        *many("lstm-nan", _LSTM, _TWO, fault="nan", nan_from=250),
        *many("lora-nan", _LORA, _TWO, fault="hidden_nan", nan_from=120, hide_nan=True),
        *many("residual-still", _TABLE, _TWO, fault="never_learned", rate=1e-7),
        *many("lora-spikes", _LORA, _TWO, fault="spikes", spike_every=71),
        *many("lstm-spikes", _LSTM, _TWO, fault="spikes", spike_every=90),
        *many("gpt3-cut", _GPT, _TWO, fault="schedule_cut", stop_at=0.75),
        *many("lora-constant", _LORA, _TWO, fault="constant_rate", schedule="constant", rate=1e-3),
        *many("lstm-early", _LSTM, _TWO, fault="rate_ends_early", schedule="early"),
        *many("lora-masked", _LORA, _TWO, fault="masked_labels", masked=True, steps=200),
    ]


def _after_the_first_look() -> list[Recipe]:
    """More of the two kinds that the first look was too thin on: healthy adapters (after LOS005 was changed), and
    recipes that were meant to overfit and had not gone on long enough.
    """
    few = {"fault": "overfit", "train_size": 150}
    return [
        *many("lora", _LORA, range(201, 205)),
        *many("lora-sparse", _LORA, range(201, 203), log_every=15),
        *many("lstm-fewer", _LSTM, range(201, 204), **few, width=96, steps=1200),
        *many("friedman-fewer", _FRIEDMAN, range(201, 204), **few, steps=4000, width=128),
    ]


_WAVE = replace(_MOONS, task="wave", model="residual", train_size=1500, steps=700, width=24, rate=2e-3)
_BOXES = replace(_TABLE, task="digits", model="boxes", train_size=700, steps=25, width=64, rate=2e-3)
_PREFER = replace(_TABLE, model="preference", train_size=1000, steps=240, width=24, rate=2e-3, log_every=2)
_POLICY = replace(
    _TABLE, model="policy", train_size=300, steps=240, width=24, rate=2e-2, batch=24, log_every=2
)


def _other_kinds() -> list[Recipe]:
    """Tiny and heavy-tailed losses, metrics beside the loss, several losses, preferences, policies, sums, fp16."""
    noisy, rough = replace(_WAVE, task="wave-noisy"), {"schedule": "constant", "clip": 0.0}
    few = {"fault": "overfit", "train_size": 80, "width": 64, "steps": 1200}
    return [
        *many("wave", _WAVE, _THREE),
        *many("wave-rough", _WAVE, _FOUR, **rough, rate=1e-2),
        *many("wave-tails", _WAVE, _THREE, **rough, rate=5e-3, spread=2.0),
        *many("wave-noise-rough", noisy, _THREE, **rough, rate=1e-2),
        *many("wave-few", _WAVE, _THREE, **few),
        *many("wave-noise-few", noisy, _FOUR, **few),
        *many("residual-scored", _TABLE, range(121, 124), scored=True, train_size=300, steps=700),
        *many(
            "moons-scored",
            _MOONS,
            range(121, 124),
            scored=True,
            train_size=200,
            width=96,
            depth=3,
            steps=1500,
        ),
        *many("lstm-scored", _LSTM, range(121, 123), scored=True, train_size=300, width=64, steps=500),
        *many("lora-scored", _LORA, range(121, 123), scored=True, train_size=300, steps=400),
        *many("boxes", _BOXES, _TWO),
        *many("boxes-few", _BOXES, _TWO, fault="overfit", train_size=80, steps=60),
        *many("prefer", _PREFER, _TWO, gain=0.3),
        *many(
            "prefer-fast",
            _PREFER,
            _TWO,
            fault="saturated_margins",
            gain=9.0,
            rate=2.0,
            train_size=120,
            width=72,
        ),
        *many("policy", _POLICY, _TWO),
        *many("policy-flat", _POLICY, _TWO, fault="no_reward_variance", masked=True),
        *many("lstm-summed", _LSTM, _TWO, fault="summed_loss", summed=16, steps=200),
        *many("lora-half", _LORA, _TWO, half=True, log_every=1, steps=150),
    ]


def _stairs() -> list[Recipe]:
    """Adapters and a larger transformer over a few epochs, with many logged losses in each."""
    lora = replace(_LORA, batch=4, width=96, log_every=2, steps=500)
    gpt = replace(_GPT, batch=4, width=64, log_every=2, steps=500, rate=4e-3)
    return [
        *many("lora-stairs", lora, range(131, 133), train_size=500),
        *many("lora-stairs-fast", lora, range(131, 133), train_size=400, rate=1e-2),
        *many("gpt-stairs", gpt, range(131, 133), train_size=500),
    ]
