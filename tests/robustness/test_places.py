"""Places and streams that are not as they should be: a command says so in two lines, or goes on without."""

from __future__ import annotations

import csv
import io
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runscope.cli import main
from runscope.history import Run, Series, Timeline
from runscope.history.axes import write_table
from runscope.reporting.ci.sarif import address
from runscope.sources import load
from runscope.sources.secrets import without_tokens
from runscope.store import Memo
from runscope.store.files import write_beside
from tests.robustness import files

SECONDS = 100
"""After this a command counts as hung."""


def run(
    words: list[str], folder: Path, *, limit: Callable[[], None] | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    known = {k: v for k, v in os.environ.items() if k not in ("PYTHONIOENCODING", "PYTHONUTF8")}
    return subprocess.run(
        [sys.executable, "-m", "runscope", *words], cwd=folder, env={**known, **environment}, capture_output=True,
        timeout=SECONDS, check=False, preexec_fn=limit,
    )  # fmt: skip


def refused(done: subprocess.CompletedProcess[bytes]) -> None:
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    assert done.returncode == 2, done.stderr
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], lines
    assert "unexpected error" not in lines[0]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return files.table(tmp_path)


@pytest.mark.parametrize(
    "name", ["pipe.csv", "pipe.jsonl", "run-a.wandb", "trainer_state.json", "x.db", "events.out.tfevents.1"]
)
def test_a_pipe_or_a_device_is_refused_at_once(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / name)
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for place in (tmp_path / name, tmp_path / "zero.csv", Path("/dev/zero")):
        assert main(["show", str(place)]) == 2
        assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["error", "hint"]


def test_a_folder_of_pipes_and_looping_links_has_an_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = tmp_path / "a" / "checkpoint-100"
    inner.mkdir(parents=True)
    os.mkfifo(inner / "trainer_state.json")
    os.mkfifo(inner / "model.safetensors")
    os.mkfifo(tmp_path / "a" / "meta.yaml")
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self").symlink_to("self")
    (tmp_path / "a" / "zero").symlink_to("/dev/zero")
    for words in (["show"], ["diagnose"], ["checkpoints"], ["stitch", "--find"]):
        assert main([*words, str(tmp_path / "a")]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error:")
        assert "unexpected error" not in error


def test_one_name_that_is_no_text_costs_a_scan_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    place = tmp_path / "runs"
    (place / "half").mkdir(parents=True)
    files.table(place)
    half = files.state(place / "half")
    half.write_text(
        half.read_text().replace('"best_metric"', r'"best_model_checkpoint": "a\ud800", "best_metric"')
    )
    for name in (b"\xff\xfe.csv", b"a\n::error::b.csv", b"\x1b[31m.csv", "\u202egnp.csv".encode()):
        (place / os.fsdecode(name)).write_bytes((place / "log.csv").read_bytes())
    for form in ("text", "json", "markdown", "sarif", "junit"):
        assert main(["scan", str(place), "--format", form]) == 0
        said = capsys.readouterr()
        assert "no UTF-8" in said.out
        assert "ended its worker" not in said.out + said.err
        assert not set("\x1b\u202e") & set(said.out)
        assert not any(line.startswith("::") for line in said.out.splitlines())
    odd = str(place / os.fsdecode(b"\xff\xfe.csv"))
    for form in ("text", "json", "markdown", "sarif", "junit", "chat"):
        assert main(["diagnose", odd, "--format", form]) == 0
    for ending in ("csv", "parquet", "json"):
        for verb in ("show", "stitch", "report"):
            assert main([verb, odd, "--output", str(tmp_path / f"written.{ending}")]) == 0
    assert "%FF%FE.csv" in address(odd)
    capsys.readouterr()
    assert main(["show", str(place / "a\n::error::b.csv")]) == 0
    assert not any(line.startswith("::") for line in capsys.readouterr().out.splitlines())


def test_a_deleted_working_folder_is_said_or_not_needed(log: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    code = (
        "import os, shutil, sys; os.chdir(sys.argv[1]); shutil.rmtree(sys.argv[1]);"
        "from runscope.cli import main; sys.exit(main(sys.argv[2:]))"
    )
    for words, status in ((["show", str(log)], 0), (["show", "abc123"], 2)):
        gone.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", code, str(gone), *words], capture_output=True, timeout=SECONDS, check=False
        )
        assert done.returncode == status, done.stderr
        assert b"unexpected error" not in done.stderr


def test_no_home_and_an_unwritable_store_keep_nobody_from_reading(log: Path, tmp_path: Path) -> None:
    bare = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")}
    done = subprocess.run(
        [sys.executable, "-m", "runscope", "show", str(log)],
        env=bare,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "a-file").write_text("")
    for words in (["show", str(log)], ["checkpoints", str(_checkpoint(tmp_path))]):
        done = run(words, tmp_path, RUNSCOPE_HOME=str(tmp_path / "a-file"))
        assert done.returncode == 0, done.stderr


def _checkpoint(tmp_path: Path) -> Path:
    return files.adapter(tmp_path).parents[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_full_disk_behind_stdout_is_said(form: str, log: Path, tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "runscope", "diagnose", str(log), "--format", form], stdout=full,
            stderr=subprocess.PIPE, timeout=SECONDS, check=False,
        )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[0].startswith(b"error:")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_a_stream_that_is_closed_is_done_without(closed: tuple[int, ...], log: Path, tmp_path: Path) -> None:
    """And no file that is opened later stands in its place."""
    written = tmp_path / "table.csv"
    done = subprocess.run(
        [sys.executable, "-m", "runscope", "stitch", str(log), "--output", str(written)], cwd=tmp_path,
        preexec_fn=lambda: [os.close(number) for number in closed] and None, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert written.read_text().startswith("step,run")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_every_encoding_of_a_pipe_takes_what_is_printed(encoding: str, log: Path, tmp_path: Path) -> None:
    for words in (["show"], ["diagnose"]):
        done = run([*words, str(log)], tmp_path, PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode(encoding)


def test_half_a_letter_in_a_name_is_shown_as_a_sign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text(
        "".join(f'{{"step": {s}, "lo\\ud800ss": 1.0, "\\u001b[2J\\u202e": 2}}\n' for s in range(30))
    )
    for form in ("text", "json", "markdown"):
        assert main(["show", str(file), "--format", form]) == 0
        shown = capsys.readouterr().out
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        shown.encode()
    assert main(["report", str(file), "--output", str(tmp_path / "out"), "--quiet"]) == 0
    page = (tmp_path / "out" / "report.html").read_bytes()
    assert b"\x1b" not in page
    assert "\u202e".encode() not in page


def test_a_write_that_fails_leaves_what_was_there(log: Path, tmp_path: Path) -> None:
    import resource

    out = tmp_path / "out"
    out.mkdir()
    for name in ("report.html", "report.parquet"):
        (out / name).write_text("before")
        done = run(
            ["report", str(log), "--output", str(out / name)], tmp_path,
            limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        )  # fmt: skip
        assert done.returncode in (2, -signal.SIGXFSZ)
        assert (out / name).read_text() == "before"


def test_a_link_stays_a_link_and_rights_stay(tmp_path: Path) -> None:
    real = tmp_path / "real.txt"
    real.write_text("old")
    real.chmod(0o640)
    (tmp_path / "link.txt").symlink_to(real)
    write_beside(tmp_path / "link.txt", lambda to: to.write_text("new"))
    assert (tmp_path / "link.txt").is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_pipe_as_output_is_written_through(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()), daemon=True)
    reader.start()
    write_beside(tmp_path / "pipe", lambda to: to.write_text("through"))
    reader.join(SECONDS)
    assert got == ["through"]


FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\rx")


def test_no_spreadsheet_takes_a_name_for_a_formula_and_it_is_read_back_as_it_was(tmp_path: Path) -> None:
    series = {
        name: Series.of(name, [1, 2], [1.0, 2.0], [0.0, 1.0]) for name in (*FORMULAS, "'=quoted", "loss")
    }
    one = Run(reference="r", id="=id", name="r", source="table", series=series, step_key="step")
    write_table(Timeline.of(one).to_pandas(), tmp_path / "line.csv")
    with (tmp_path / "line.csv").open(newline="") as file:
        cells = [cell for row in list(csv.reader(file))[1:] for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r", "-2+"))]
    assert set(load(tmp_path / "line.csv").series) >= {"=1+1", "@SUM(A1)", "loss"}


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("train.py --hub_token hf_AbCdEfGhIjKlMnOpQrStUv --lr 1", "hf_AbCdEfGhIjKlMnOpQrStUv"),
        ("git clone https://me:s3cr3t@git.example/x", "s3cr3t"),
        ("API_KEY=abcdef123456 python train.py", "abcdef123456"),
        ("python x.py --password=hunter22", "hunter22"),
        ("curl -H 'Authorization: token ghp_abcdefghijklmnopqrst1234'", "ghp_abcdefghijklmnopqrst1234"),
    ],
)
def test_a_token_inside_a_command_is_hidden(text: str, hidden: str) -> None:
    assert hidden not in without_tokens(text)
    assert "<hidden>" in without_tokens(text)


@pytest.mark.parametrize(
    "text",
    [
        "--pad_token <|endoftext|> x",
        "--max_tokens 123456",
        "hf_home",
        "a tokenizer: llama-3",
        "https://x.example/a:b",
    ],
)
def test_what_is_no_token_stays(text: str) -> None:
    assert without_tokens(text) == text


def test_a_broken_cache_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path))
    chance = random.Random(5)
    memo = Memo("x.sqlite")
    memo.put({"a": {"b": 1}})
    assert memo.get(["a"]) == {"a": {"b": 1}}
    for content in (b"", b"no database", chance.randbytes(4096), memo.path.read_bytes()[:100]):
        memo.path.write_bytes(content)
        assert memo.get(["a"]) == {}
        memo.put({"a": {"b": 2}})


def test_steps_beyond_all_counters_are_left_out_and_said(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("step,loss\n" + "".join(f"{s},1.5\n" for s in range(20)) + f"{2**60},1.5\n")
    run = load(file)
    assert all(np.abs(s.step).max() < 2**53 for s in run.series.values())
    assert io.StringIO("\n".join(run.notes)).read()


def test_foreign_text_in_markdown_is_no_link_and_no_table() -> None:
    from runscope.reporting.text.escaping import escape, markdown_table

    for text in (
        "https://evil.example/x",
        "HTTP://evil",
        "www.evil.example",
        "mailto:a@b.example",
        "ftp://x",
    ):
        assert not re.search(r"(?i)https?:|www\\.|mailto:|ftp:|@\w", escape(text))
    table = markdown_table(("run",), [("a | b\n| c",)])
    assert len(table.splitlines()) == 3
