"""Which names are gradients of single layers, and what is kept of them over several runs."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.history import Histograms, Run, Series, Timeline
from runscope.history.layers import gradients_by_layer, layer_of
from runscope.history.timeline import Segment


@pytest.mark.parametrize(
    "name",
    [
        "grad_norm/layers.0.weight", "train/grad_norm/model.layers.3.mlp.up_proj.weight", "gradient_norm.layers.0",
        "grad_2.0_norm/layers.0.weight", "l2_norm/grad/layers.0.weight", "layer_grad_norm/0",
        "grad/transformer.blocks.0.att_proj.weight.norm", "gradients/layers.1.weight/norm", "layers.0/grad_norm",
        "gradients/norm/encoder.0", "debug/grad_norms/lm_head.weight",
    ],
)  # fmt: skip
def test_norms_of_layers_are_known_with_any_prefix(name: str) -> None:
    assert layer_of(name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "grad_norm", "train/grad_norm", "grad_norm/total", "grad_norm_clipped", "train/grad_norm/before_clip",
        "grad_2.0_norm_total", "l2_norm/grad/global", "grad_norm/rank_0", "train/loss", "param_norm/layers.0",
        "gpu0/grad_norm", "grad_norm/max", "norm/layers.0", "weights/layers.0.norm",
    ],
)  # fmt: skip
def test_norms_of_the_whole_model_are_none_of_a_layer(name: str) -> None:
    assert layer_of(name) is None


def histogram(name: str, steps: list[int], rms: float) -> Histograms:
    n = len(steps)
    value = np.full(n, rms)
    return Histograms(name, np.array(steps), -value, value, value, np.zeros(n))


def watched(name: str, steps: list[int], rms: float) -> Run:
    layers = {f"gradients/{n}": histogram(f"gradients/{n}", steps, rms) for n in ("h.10.w", "h.2.w")}
    loss = Series.of("loss", steps, np.ones(len(steps)))
    return Run(reference=name, id=name, name=name, source="made", series={"loss": loss}, histograms=layers)


def test_a_resumed_training_has_one_history_of_each_layer_without_the_discarded_tail() -> None:
    first, second = watched("a", [10, 20, 30, 40], 1.0), watched("b", [10, 20], 2.0)
    line = Timeline((Segment(first, cut=20), Segment(second, offset=20, start=20, parent="a")))
    found = gradients_by_layer(line)
    assert list(found.layers) == ["h.2.w", "h.10.w"], "in order of depth"
    assert found.measure == "rms"
    assert found.layers["h.2.w"].step.tolist() == [10, 20, 30, 40]
    assert found.layers["h.2.w"].rms.tolist() == [1, 1, 2, 2]


def test_of_several_families_of_norms_the_one_with_most_layers_counts() -> None:
    step = [1, 2, 3]
    names = [f"grad_norm/h.{k}.w" for k in range(4)] + [f"clipped_grad_norm/h.{k}.w" for k in range(2)]
    series = {n: Series.of(n, step, [0.0, 1.0, np.nan]) for n in names}
    found = gradients_by_layer(
        Timeline.of(Run(reference="a", id="a", name="a", source="made", series=series))
    )
    assert list(found.layers) == [f"h.{k}.w" for k in range(4)]
    assert found.measure == "norm"
    assert found.layers["h.0.w"].zero_share[0] == 1
    assert np.isnan(found.layers["h.0.w"].rms[2])


def test_one_layer_alone_is_no_comparison() -> None:
    series = {"grad_norm/h.0.w": Series.of("grad_norm/h.0.w", [1], [1.0])}
    assert not gradients_by_layer(
        Timeline.of(Run(reference="a", id="a", name="a", source="made", series=series))
    )
