"""Pictures, Markdown, terminal and the page of a line that nobody judged."""

from __future__ import annotations

import importlib
import io
import itertools
import pkgutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from runscope.api import diagnose, stitch
from runscope.errors import UsageError
from runscope.history import Series, Timeline
from runscope.history.checkpoint import Checkpoint, File
from runscope.reporting import markdown, print_diagnosis, print_timeline, write, write_line
from runscope.reporting.page.loading import loading_code
from runscope.reporting.page.report import chance, page
from runscope.reporting.text.braille import loss_chart
from runscope.reporting.view.charts import charts
from runscope.reporting.view.curves import not_finite, smoothed, thinned
from runscope.reporting.view.marks import axes
from tests.reporting.conftest import EVIL, run, whole


def line_of(name: str = "pricer") -> Timeline:
    return stitch([run(name, 330, seed=1), run(f"{name}-again", 300, seed=2, first=300)], at=[300])


@pytest.mark.parametrize(("ending", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
@pytest.mark.parametrize("name", ["pricer", EVIL, "_hidden $x^", "قطار 列車 \x07"])
def test_pictures_are_drawn_whatever_the_names(tmp_path: Path, ending: str, begins: bytes, name: str) -> None:
    path = tmp_path / f"line{ending}"
    write(whole(name), path)
    judged = path.read_bytes()
    write_line(line_of(name), path)
    assert judged.startswith(begins)
    assert path.read_bytes().startswith(begins)
    assert judged != path.read_bytes()


@pytest.mark.parametrize("ending", [".html", ".json", ".md", ".csv", ".parquet"])
def test_a_line_is_written_in_every_form(tmp_path: Path, ending: str) -> None:
    path = write_line(line_of(), tmp_path / f"line{ending}")
    assert b"pricer" in path.read_bytes() or ending in (".csv", ".parquet")
    assert path.stat().st_size > 100


def test_another_ending_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    for writer, what in ((write, whole()), (write_line, line_of())):
        with pytest.raises(UsageError) as refused:
            writer(what, tmp_path / "line.docx")  # type: ignore[operator]
        assert ".html" in refused.value.hint


def test_markdown_holds_the_scores_and_no_markup_of_strangers() -> None:
    text = markdown(whole(name=EVIL, title=EVIL))
    assert "may be as good" in text
    assert "<script>" not in text


def _printed(show: Any, what: Any, *, terminal: bool) -> str:
    screen = io.StringIO()
    show(Console(file=screen, force_terminal=terminal, width=100, color_system=None), what)
    return screen.getvalue()


@pytest.mark.parametrize(("show", "what"), [(print_timeline, line_of()), (print_diagnosis, whole())])
def test_a_terminal_gets_a_chart_and_a_pipe_none(show: Any, what: Any) -> None:
    def dots(text: str) -> int:
        return sum("\u2801" <= sign <= "\u28ff" for sign in text)

    assert dots(_printed(show, what, terminal=True)) > 60
    assert dots(_printed(show, what, terminal=False)) == 0


def test_the_chart_falls_with_the_loss_and_marks_join_and_nan() -> None:
    line = line_of()
    line.runs[0].series["train/loss"].value[20] = np.nan
    rows = [row.plain for row in loss_chart(line, width=80)]
    assert "×" in "".join(rows)
    assert any("│" in row for row in rows)
    left = [k for k, row in enumerate(rows[:-1]) if any("\u2801" <= s <= "\u28ff" for s in row[9:14])]
    right = [k for k, row in enumerate(rows[:-1]) if any("\u2801" <= s <= "\u28ff" for s in row[-6:])]
    assert max(left) < min(right)
    assert max(len(row) for row in rows) <= 80


def test_thinning_keeps_extremes_ends_and_order() -> None:
    rng = np.random.default_rng(0)
    value = rng.standard_normal(100_003)
    value[40_000], value[70_000], value[500] = 50, -50, np.inf
    thin = thinned(Series.of("x", np.arange(len(value)), value), 2000)
    assert len(thin) <= 2004
    assert (thin.value.max(), thin.value.min()) == (50, -50)
    assert (thin.step[0], thin.step[-1]) == (0, len(value) - 1)
    assert np.all(np.diff(thin.step) > 0)
    assert np.isfinite(thin.value).all()


def test_every_point_that_is_no_number_is_accounted_for() -> None:
    rng = np.random.default_rng(1)
    value = np.where(rng.random(50_000) < 0.3, np.nan, 1.0)
    found = not_finite(Series.of("x", np.arange(50_000), value), most=100)
    assert sum(count for *_, count in found) == np.isnan(value).sum()
    assert len(found) <= 202
    assert all(a[1] < b[0] for a, b in itertools.pairwise(found))


def test_a_smooth_line_follows_the_mean() -> None:
    rng = np.random.default_rng(2)
    step = np.arange(200_000)
    calm = smoothed(Series.of("x", step, 2 - step / 2e5 + rng.standard_normal(len(step))))
    assert np.abs(calm.value - (2 - calm.step / 2e5)).max() < 0.1


def test_tokens_go_on_where_a_resumed_run_counts_from_nought() -> None:
    first, second = run("a", 330, seed=1), run("b", 300, seed=2, first=300)
    for r in (first, second):
        own = r.series["train/loss"].step
        r.series["tokens"] = Series.of("tokens", own, own * 1000.0)  # type: ignore[index]
        r.roles["tokens"] = "tokens"  # type: ignore[index]
    knots = axes([stitch([first, second], at=[300])])["tokens"][0]
    assert knots["value"] == sorted(knots["value"])
    assert knots["value"][-1] == pytest.approx(600_000, rel=0.02)


@pytest.mark.parametrize("axis", ["tokens", "hours"])
def test_the_page_and_the_table_count_by_one_rule(axis: str) -> None:
    """With a dead tail, a pause between the runs, and a start that was long before the first log."""
    runs = []
    for made, begun in ((run("a", 330, seed=1), 1.7e9), (run("b", 300, seed=2, first=300), 1.7e9 + 9e4)):
        values = {name: (s.step, s.value) for name, s in made.series.items()}
        values["tokens"] = (values["train/loss"][0], values["train/loss"][0] * 1000.0)
        series = {n: Series.of(n, s, v, begun + 600 + 10.0 * s) for n, (s, v) in values.items()}
        runs.append(replace(made, series=series, roles={**made.roles, "tokens": "tokens"}, started_at=begun))
    line = stitch(runs, at=[300])
    knots = axes([line])[axis][0]
    table = line.to_pandas(axis)
    kept = table[table.kept & (table.metric == "train/loss")].sort_values("step")
    expected = np.interp(knots["step"], kept["step"], kept[axis])
    np.testing.assert_allclose(knots["value"], expected, rtol=1e-9)
    assert knots["value"][-1] == pytest.approx(600_000 if axis == "tokens" else (330 + 300 + 120) / 360)


def test_a_line_of_many_runs_stays_small() -> None:
    parts = [run(f"r{k}", 20_000, seed=k, first=20_000 * k) for k in range(12)]
    line = stitch(parts, at=[20_000 * k for k in range(1, 12)])
    found = [curve for chart in charts(line, room=40_000) for curve in chart.curves]
    assert sum(len(c.series) + sum(map(len, c.levels)) for c in found) < 60_000


def test_code_loads_adapters_models_folders_and_clones() -> None:
    adapter = (File("adapter_config.json", 1), File("adapter_model.safetensors", 1))
    full = (File("config.json", 1), File("model.safetensors", 1))
    on_hub = Checkpoint("me/pricer", "ab" * 20, "t", 1, files=adapter)
    assert loading_code(on_hub).splitlines() == [
        "from peft import AutoPeftModelForCausalLM",
        f"model = AutoPeftModelForCausalLM.from_pretrained('me/pricer', revision='{'ab' * 20}')",
    ]
    assert "from transformers import AutoModelForCausalLM" in loading_code(
        Checkpoint("me/pricer", "ab" * 20, "t", 1, files=full)
    )
    clone = loading_code(Checkpoint("data/pricer.bundle", "ab" * 20, "t", 1, files=adapter))
    assert clone.startswith("# first: git clone data/pricer.bundle pricer-abababab && git -C pricer-abababab")
    assert "revision=" not in clone
    assert "AutoModelForCausalLM.from_pretrained('base')" in loading_code(on_hub, "base")
    assert "PeftModel.from_pretrained(base, 'me/pricer'" in loading_code(on_hub, "base")
    fetched = Checkpoint("me/pricer", "ab" * 20, "t", 1, files=adapter, local_path=Path("cache/abab"))
    assert loading_code(fetched) == loading_code(on_hub), "a colleague has no copy in a cache of mine"
    folder = Checkpoint("out", None, "t", 1, files=full, local_path=Path("out/checkpoint-5"))
    assert "from_pretrained('out/checkpoint-5')" in loading_code(folder)


def test_a_chance_has_words_and_a_number() -> None:
    assert chance(0.93) == "93%, very likely"
    assert chance(None) == ""
    assert chance(0.999).startswith("over 99%")


def test_a_line_without_any_curve_is_still_drawn(tmp_path: Path) -> None:
    bare = run("bare", 40, seed=3)
    line = Timeline.of(type(bare)(**{**bare.__dict__, "series": {}, "roles": {}}))
    assert write_line(line, tmp_path / "x.png").stat().st_size > 1000
    assert write(diagnose(line), tmp_path / "y.svg").stat().st_size > 1000
    assert loss_chart(line, width=80) == []


@pytest.mark.parametrize("package", ["evaluation", "hub", "reporting"])
def test_no_name_of_a_package_is_one_of_its_modules(package: str) -> None:
    """Else whoever imports the module puts it in the place of the name."""
    room = importlib.import_module(f"runscope.{package}")
    assert not set(room.__all__) & {module.name for module in pkgutil.iter_modules(room.__path__)}


def test_code_names_no_cache_of_this_machine() -> None:
    full = (File("config.json", 1), File("model.safetensors", 1))
    for repo, name in (("me--pricer", "me/pricer"), ("gpt2", "gpt2")):
        place = Path(f"/home/me/.cache/huggingface/hub/models--{repo}/snapshots/{'ab' * 20}")
        code = loading_code(Checkpoint(str(place), None, "t", 1, files=full, local_path=place))
        assert f"from_pretrained({name!r}, revision='{'ab' * 20}')" in code
        assert "cache" not in code
        folder = Checkpoint(
            "./out", None, "t", 1, files=(File("adapter_config.json", 1),), local_path=Path("out")
        )
        assert f"from_pretrained({name!r})" in loading_code(folder, str(place))


def test_a_commit_of_a_clone_is_loaded_from_a_clone_and_not_from_our_cache() -> None:
    adapter = (File("adapter_config.json", 1), File("adapter_model.safetensors", 1))
    place = Path("/home/me/.cache/runscope/checkpoints") / ("ab" * 20) / "root"
    code = loading_code(Checkpoint("data/pricer.bundle", "ab" * 20, "t", 1, files=adapter, local_path=place))
    assert "cache" not in code
    assert "git clone data/pricer.bundle pricer-abababab" in code


@pytest.mark.parametrize(
    ("title", "own", "shown"),
    [
        ("Training in progress, step 300", 300, "in its run"),
        ("Training in progress, step 540", 540, ""),
        ("before the rate was lowered", 540, "before the rate was lowered"),
    ],
)
def test_a_title_stands_where_it_tells_more_than_the_step(title: str, own: int, shown: str) -> None:
    """And a step of a resumed run is said to be one."""
    saved = tuple(
        Checkpoint(
            "me/pricer",
            f"{step:040x}",
            title if step == 540 else "checkpoint-5",
            own if step == 540 else step,
            step,
        )
        for step in (500, 540)
    )
    line = line_of()
    found = diagnose(line, checkpoints=saved)
    keep = replace(found, verdict=replace(found.verdict, keep=saved[1], keep_step=540))
    body = page(keep, {}).partition("<body>")[2].partition('<script type="application/json"')[0]
    if shown:
        assert shown in body
    else:
        assert title not in body
