"""The trainings that the calibration is fitted on, and that rules may be looked at with while they are written."""

from __future__ import annotations

from dataclasses import replace

from recipe import Recipe, many

_MLP = Recipe("", "none", "digits", "mlp", 1000, 600, 1e-3)
_CNN = replace(_MLP, model="cnn", width=12, rate=3e-3, steps=400)
_CANCER = replace(_MLP, task="cancer", train_size=300, steps=200, width=16, rate=1e-3)
_DIABETES = replace(_MLP, task="diabetes", train_size=200, steps=300, width=24, rate=1e-3)
_RNN = replace(
    _MLP, task="text", model="gru", train_size=8000, steps=400, width=48, depth=1, rate=3e-3, batch=16
)
_GPT = replace(_RNN, model="transformer", width=48, depth=2, steps=400)
_TUNE = replace(_GPT, task="text-other", model="finetune", rate=1e-3, steps=300)
_TWO, _THREE, _FOUR = range(1, 3), range(1, 4), range(1, 5)


def recipes() -> list[Recipe]:
    """All trainings."""
    made = [
        *_healthy(),
        *_overfitted(),
        *_between(),
        *_broken(),
        *_other_losses(),
        *_other_kinds(),
        *_stairs(),
        *_long(),
    ]
    assert len({r.name for r in made}) == len(made)
    return made


def _healthy() -> list[Recipe]:
    """Nothing wrong: enough data or few passes, a rate that fits, a schedule that ended."""
    return [
        *many("mlp", _MLP, _FOUR, steps=250),
        *many("cnn", _CNN, _FOUR),
        *many("cancer", _CANCER, _THREE, weight_decay=0.05),
        *many("rnn", _RNN, _FOUR),
        *many("gpt", _GPT, _FOUR),
        *many("gpt-once", _GPT, _TWO, steps=250),
        *many("rnn-linear", _RNN, _TWO, schedule="linear"),
        *many("mlp-sgd", _MLP, _TWO, optimiser="sgd", rate=0.03, steps=200),
        *many("mlp-dropout", _MLP, _THREE, dropout=0.3, steps=800),
        *many("diabetes", _DIABETES, _THREE, steps=120),
        *many("tune", _TUNE, _THREE, steps=250),
        *many("tune-sparse", _TUNE, _TWO, log_every=20),
        *many("gpt-long", _GPT, _TWO, steps=1200, train_size=5000, log_every=10),
    ]


def _overfitted() -> list[Recipe]:
    """Few examples or wrong labels, many passes, no brake."""
    wrong = {"fault": "overfit", "wrong_labels": 0.3, "train_size": 300}
    few = {"fault": "overfit", "train_size": 200}
    return [
        *many("mlp-noisy", _MLP, _FOUR, **wrong, width=128, steps=1200),
        *many("cnn-noisy", _CNN, _THREE, **wrong, steps=1000),
        *many("rnn-few", _RNN, _FOUR, **few, width=96, steps=900),
        *many("gpt-few", _GPT, _FOUR, **few, width=64, steps=600),
        *many(
            "cancer-few",
            _CANCER,
            _TWO,
            fault="overfit",
            train_size=60,
            wrong_labels=0.2,
            width=64,
            steps=1000,
        ),
        *many("diabetes-few", _DIABETES, _THREE, fault="overfit", train_size=100, width=128, steps=1200),
        *many("tune-few", _TUNE, _FOUR, **few, steps=500, rate=2e-3),
        *many("tune-few-sparse", _TUNE, _TWO, **few, steps=400, log_every=20),
    ]


def _between() -> list[Recipe]:
    """From few passes to many, from enough data to little: whether they overfit only their truth tells."""
    made = []
    for number, size in enumerate((250, 500, 1000, 2000)):
        made += many(f"tune-{size}", _TUNE, range(11, 13), train_size=size, steps=200 + 50 * number)
        made += many(f"gpt-{size}", _GPT, range(11, 13), train_size=size, steps=500)
        made += many(f"rnn-{size}", _RNN, range(11, 13), train_size=size, steps=400)
    for share in (0.0, 0.05, 0.1, 0.2):
        made += many(
            f"digits-{share}", _MLP, range(11, 13), wrong_labels=share, train_size=500, width=64, steps=600
        )
        made += many(f"cancer-{share}", _CANCER, range(11, 13), wrong_labels=share, train_size=150, steps=400)
        made += many(f"wine-{share}", _CANCER, range(11, 12), task="wine", wrong_labels=share, train_size=60)
    # At the edge of stability the held-out loss jumps about without getting worse.
    rough = {"optimiser": "sgd", "schedule": "constant", "clip": 0.0, "batch": 8}
    for rate in (0.02, 0.05, 0.1):
        made += many(f"digits-rough-{rate}", _MLP, range(11, 13), **rough, rate=rate, steps=500)
        made += many(f"cancer-rough-{rate}", _CANCER, range(11, 13), **rough, rate=rate, steps=400)
        made += many(f"diabetes-rough-{rate}", _DIABETES, range(11, 13), **rough, rate=rate, steps=400)
    for width in (8, 32, 96):
        made += many(
            f"diabetes-{width}", _DIABETES, range(11, 13), width=width, steps=600, optimiser="sgd", rate=0.02
        )
    return made


def _broken() -> list[Recipe]:
    sgd = {"optimiser": "sgd", "clip": 0.0}
    return [
        *many("mlp-fast", _MLP, _TWO, fault="divergence", **sgd, rate=40.0, schedule="warmup"),
        *many("rnn-fast", _RNN, _TWO, fault="divergence", rate=1.0, clip=0.0, schedule="warmup"),
        *many(
            "sigmoid-deep",
            _MLP,
            _THREE,
            fault="vanishing",
            model="sigmoid",
            depth=12,
            optimiser="sgd",
            rate=0.05,
        ),
        *many("mlp-loud", _MLP, _THREE, fault="exploding", gain=6.0, depth=10, **sgd, rate=1e-3),
        *many("mlp-nan", _MLP, _TWO, fault="nan", nan_from=300),
        *many("gpt-nan", _GPT, _TWO, fault="nan", nan_from=200),
        *many("tune-nan", _TUNE, _TWO, fault="hidden_nan", nan_from=150, hide_nan=True),
        *many("mlp-still", _MLP, _TWO, fault="never_learned", rate=1e-7),
        *many("gpt-still", _GPT, _TWO, fault="never_learned", rate=1e-7),
        *many("mlp-spikes", _MLP, _TWO, fault="spikes", spike_every=97),
        *many("gpt-spikes", _GPT, _TWO, fault="spikes", spike_every=83),
        *many("gpt-cut", _GPT, _THREE, fault="schedule_cut", stop_at=0.65),
        *many("rnn-cut", _RNN, _TWO, fault="schedule_cut", stop_at=0.7),
        *many("gpt-constant", _GPT, _TWO, fault="constant_rate", schedule="constant", rate=1e-3),
        *many("rnn-constant", _RNN, _TWO, fault="constant_rate", schedule="constant", rate=1e-3),
        *many("gpt-early", _GPT, _TWO, fault="rate_ends_early", schedule="early"),
        *many("gpt-masked", _GPT, _TWO, fault="masked_labels", masked=True, steps=200),
    ]


_WAVE = replace(_MLP, task="wave", train_size=2000, steps=900, width=32, rate=3e-3)
_BOXES = replace(_MLP, model="boxes", train_size=1000, steps=30, width=48, rate=1e-3)
_PREFER = replace(_MLP, model="preference", train_size=2000, steps=300, width=16, rate=3e-3, log_every=3)
_POLICY = replace(_MLP, model="policy", train_size=500, steps=300, width=16, rate=1e-2, batch=16, log_every=3)


def _other_losses() -> list[Recipe]:
    """Losses of 1e-3 and far less, with heavy tails and spikes; classes and text with a metric beside the loss."""
    rough = {"schedule": "constant", "clip": 0.0}
    few = {"train_size": 60, "width": 96}
    return [
        *many("wave", _WAVE, _THREE),
        *many("wave-rough", _WAVE, _FOUR, **rough, rate=1e-2),
        *many("wave-rougher", _WAVE, _THREE, **rough, rate=3e-2),
        *many("wave-sgd", _WAVE, _TWO, **rough, optimiser="sgd", rate=0.5, steps=600),
        *many("wave-tails", _WAVE, _THREE, spread=1.5, **rough, rate=1e-2),
        *many("wave-noise", replace(_WAVE, task="wave-noisy"), _THREE),
        *many("wave-noise-rough", replace(_WAVE, task="wave-noisy"), _THREE, **rough, rate=1e-2, spread=1.0),
        *many("wave-few", _WAVE, _FOUR, fault="overfit", **few, steps=1500),
        *many("wave-noise-few", replace(_WAVE, task="wave-noisy"), _FOUR, fault="overfit", **few, steps=1500),
        *many(
            "wave-noise-some", replace(_WAVE, task="wave-noisy"), _THREE, train_size=250, width=64, steps=1500
        ),
        *many("digits-scored", _MLP, range(21, 25), scored=True, train_size=400, width=128, steps=1200),
        *many("cnn-scored", _CNN, range(21, 23), scored=True, train_size=300, steps=900, wrong_labels=0.05),
        *many("classes-scored", _MLP, range(21, 24), task="classes", scored=True, width=96, steps=1500),
        *many("rnn-scored", _RNN, range(21, 23), scored=True, train_size=400, width=64, steps=500),
        *many("tune-scored", _TUNE, range(21, 24), scored=True, train_size=300, steps=500),
    ]


def _other_kinds() -> list[Recipe]:
    """Several losses, preferences, policy gradients, sums in place of means, fp16."""
    few = {"train_size": 60, "steps": 60}
    return [
        *many("boxes", _BOXES, _TWO),
        *many("boxes-few", _BOXES, _THREE, fault="overfit", **few),
        *many("prefer", _PREFER, _TWO, gain=0.3),
        *many(
            "prefer-fast",
            _PREFER,
            _TWO,
            fault="saturated_margins",
            gain=9.0,
            rate=3.0,
            train_size=100,
            width=64,
        ),
        *many("policy", _POLICY, _TWO),
        *many("policy-flat", _POLICY, _TWO, fault="no_reward_variance", masked=True),
        *many("gpt-summed", _GPT, _TWO, fault="summed_loss", summed=8, steps=200),
        *many("mlp-half", _MLP, _TWO, half=True, steps=250, log_every=1),
        *many("tune-half", _TUNE, _TWO, half=True, log_every=1, steps=150),
    ]


def _stairs() -> list[Recipe]:
    """Fine-tunes of a few epochs with many logged losses in each: what is remembered shows where data returns."""
    base = replace(_TUNE, batch=4, width=96, log_every=2, steps=500)
    made = []
    for size in (300, 600):
        for rate in (1e-3, 4e-3):
            made += many(f"tune-stairs-{size}-{rate}", base, range(31, 33), train_size=size, rate=rate)
    return made


def _long() -> list[Recipe]:
    """Small nets on small tables for 60 to 1,000 passes, as many are trained: some learn by heart, some only slowly."""
    made = []
    kinds = {"cancer": 80, "diabetes": 80, "digits": 300, "classes": 400, "wave-noisy": 200}
    for seed, (task, size) in zip((41, 43, 44, 45, 46), kinds.items(), strict=True):
        base = replace(_MLP, task=task, schedule="constant", steps=1500, log_every=6, seed=seed)
        ways = {
            "wide": {"width": 64, "train_size": size},
            "wide-enough": {"width": 64, "train_size": 3 * size},
            "narrow": {"width": 4, "depth": 1, "train_size": size},
            "narrow-slow": {"width": 8, "depth": 1, "train_size": 3 * size, "rate": 1e-4},
            "decay": {"width": 32, "train_size": 3 * size, "weight_decay": 0.3},
            "sgd": {"width": 16, "train_size": 2 * size, "optimiser": "sgd", "rate": 3e-3},
            "batch": {"width": 32, "train_size": 2 * size, "batch": 4096, "rate": 1e-3},
        }
        made += [replace(base, name=f"long-{task}-{way}", **changes) for way, changes in ways.items()]
    return made
