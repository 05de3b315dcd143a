"""Gradients by layer: what the real SDK wrote of a real model, as a map on a page, a terminal and a picture."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from runscope.api import diagnose, load, report
from runscope.history import Histograms, Run, Series, Timeline
from runscope.reporting import print_diagnosis
from runscope.reporting.text.heat import layer_chart
from runscope.reporting.view.layers import fates_of, layer_map, layer_rows
from tests.reporting.test_page import problems_of

_TRAIN = """
import sys, torch, wandb
torch.manual_seed(0); torch.set_num_threads(1)
depth = [m for k in range(7) for m in (torch.nn.Linear(12, 12), torch.nn.Sigmoid())]
net = torch.nn.Sequential(*depth, torch.nn.Linear(12, 1))
with wandb.init(project="pricer", dir=sys.argv[1], settings=wandb.Settings(console="off")) as run:
    run.watch(net, log="gradients", log_freq=5)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05)
    for step in range(1, 101):
        x = torch.randn(32, 12)
        loss = ((net(x) - x.sum(1, keepdim=True).sin()) ** 2).mean()
        optimiser.zero_grad(); loss.backward(); optimiser.step()
        run.log({"train/loss": loss.item(), "train/global_step": step})
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Run:
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("watched")
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", _TRAIN, str(folder)], check=True, env=environment, timeout=120)
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    return load(file)


def logged(layers: dict[str, np.ndarray], every: int = 10) -> Run:
    """A run that logged a norm for each layer."""
    n = len(next(iter(layers.values())))
    step = np.arange(1, n + 1) * every
    series = {f"train/grad_norm/{k}": Series.of(f"train/grad_norm/{k}", step, v) for k, v in layers.items()}
    series["loss"] = Series.of("loss", step, np.linspace(2, 1, n))
    return Run(
        reference="a",
        id="a",
        name="a",
        source="made",
        series=series,
        roles={"train_loss": "loss"},
        step_key="step",
    )


def test_a_net_of_sigmoids_has_no_gradient_in_its_first_layers(watched: Run) -> None:
    found = diagnose(watched)
    (vanishing,) = [f for f in found.findings if f.code == "GRD002"]
    heat = layer_map(found.timeline)
    assert heat is not None
    assert heat.names == tuple(f"{k}.{kind}" for k in range(0, 15, 2) for kind in ("bias", "weight"))
    assert heat.measure == "rms"
    assert heat.zeros_known
    first, last = (np.nanmedian(heat.size[heat.names.index(f"{k}.weight")]) for k in (0, 14))
    assert first < 1e-3 * last
    fates = fates_of(found.findings, heat)
    assert set(vanishing.evidence["layers"]) == set(fates)
    assert fates["0.weight"] == "hardly any gradient"
    told = {row.name: row for row in layer_rows(heat, fates)}
    assert told["0.weight"].fate
    assert not told["14.weight"].fate
    assert (told["14.weight"].last or 0) > 0


def test_the_page_draws_the_map_and_tells_each_cell(browser: Any, watched: Run, tmp_path: Path) -> None:
    path = report(diagnose(watched), tmp_path / "report.html")
    context = browser.new_context(offline=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(path.as_uri())
    page.locator("html[data-ready]").wait_for()
    over = page.locator("#chart-layers .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    over.hover(position={"x": box["width"] / 2, "y": 2})
    readout = page.locator("#readout").inner_text()
    assert "0.bias" in readout
    value = float(readout.split("0.bias")[1].split()[0].replace("−", "-"))
    heat = layer_map(Timeline.of(watched))
    assert heat is not None
    assert heat.size[0].min() * 0.9 <= value <= heat.size[0].max() * 1.1
    page.locator("[data-heat]").select_option("zero")
    over.hover(position={"x": box["width"] / 2 + 5, "y": box["height"] - 2})
    assert "% near zero" in page.locator("#readout").inner_text()
    assert page.locator("#chart-layers .scale b").all_inner_texts() == ["0%", "100%"]
    page.evaluate("runscope.zoom([20, 40])")
    ranges = page.evaluate("runscope.state.plots.map(p => [p.scales.x.min, p.scales.x.max])")
    assert all(r == [20, 40] for r in ranges)
    page.locator("#chart-layers summary").click()
    assert "hardly any gradient" in page.locator("#chart-layers tr", has_text="0.weight").first.inner_text()
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert problems_of(page) == []
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert complaints == []
    context.close()


def test_a_terminal_shows_the_map_where_a_finding_names_layers(watched: Run) -> None:
    screen = io.StringIO()
    print_diagnosis(
        Console(file=screen, force_terminal=True, width=110, color_system=None), diagnose(watched)
    )
    assert "gradients by layer (root mean square of the gradient)" in screen.getvalue()
    assert "hardly any gradient" in screen.getvalue()
    pipe = io.StringIO()
    print_diagnosis(Console(file=pipe, width=110), diagnose(watched))
    assert "gradients by layer (" not in pipe.getvalue()


def test_signs_of_a_terminal_say_zero_nan_and_nothing() -> None:
    n = 40
    one = np.ones(n)
    values = {
        "h.0.w": one * 1e-6,
        "h.1.w": one * 0,
        "h.2.w": np.where(np.arange(n) < 20, 1.0, np.nan),
        "h.3.w": one,
    }
    rows = [row.plain[21:] for row in layer_chart(Timeline.of(logged(values)), width=100)][1:5]
    assert set(rows[0].rstrip()) == {"▁"}
    assert set(rows[1].rstrip()) == {"0"}
    assert set(rows[2].rstrip()) == {"█", "×"}
    assert set(rows[3].rstrip()) == {"█"}
    assert layer_chart(Timeline.of(logged(values)), width=40) == []


def test_nothing_is_drawn_over_a_pause_and_none_is_lost() -> None:
    step = np.concatenate([np.arange(1, 11), np.arange(1001, 1011)])
    n = np.ones(len(step))
    layers = {f"gradients/h.{k}.w": Histograms("", step, -n, n, n * (k + 1), n * 0) for k in range(3)}
    line = Timeline.of(Run(reference="a", id="a", name="a", source="made", series={}, histograms=layers))
    for columns in (4, 160):
        heat = layer_map(line, columns=columns)
        assert heat is not None
        assert (heat.left[1:] >= heat.right[:-1]).all()
        inside = [((heat.left <= s) & (s <= heat.right)).any() for s in step]
        assert all(inside)
        assert np.isfinite(heat.size).all()
    assert not ((heat.left <= 500) & (heat.right >= 500)).any()


@pytest.mark.parametrize(("layers", "rows"), [(5, 5), (200, 40), (900, 64)])
def test_many_layers_share_rows_by_block(layers: int, rows: int) -> None:
    rng = np.random.default_rng(1)
    values = {f"h.{k // 5}.part{k % 5}.w": np.exp(rng.standard_normal(12)) for k in range(layers)}
    heat = layer_map(Timeline.of(logged(values)))
    assert heat is not None
    assert len(heat.names) == rows
    every = np.sqrt(sum(v**2 for v in values.values()))
    assert np.sqrt((heat.size**2).sum(axis=0)) == pytest.approx(every), (
        "the norm of all is the norm of the rows"
    )


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_picture_holds_the_map(ending: str, tmp_path: Path) -> None:
    n = 30
    names = {f"$h_{k}.w" * 3: np.where(np.arange(n) > 10 + k, np.nan, 10.0**-k) for k in range(40)}
    path = report(diagnose(logged(names)), tmp_path / f"report.{ending}")
    assert path.stat().st_size > 10_000
