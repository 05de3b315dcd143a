"""What holds for every command: help with examples that parse, completion, settings, colours, foreign names."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from runscope.cli import main
from runscope.cli.app import COMMANDS, app
from runscope.cli.settings import defaults
from runscope.errors import InputError
from tests.hub import repos

GROUP: Any = typer.main.get_command(app)
ROWS = "step,train/loss,eval/loss\n" + "".join(f"{k},{2 / k + 0.1},{2 / k + 0.2}\n" for k in range(1, 40))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "pricer.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


def examples(name: str) -> list[list[str]]:
    """The command lines under ``Examples:``, as words."""
    text = COMMANDS[name].__doc__ or ""
    return [shlex.split(line) for line in text.partition("Examples:")[2].splitlines() if line.strip()]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_it_does_and_shows_two_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples:" in text
    shown = examples(name)
    assert len(shown) >= 2
    for words in shown:
        assert words[:2] == ["runscope", name]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_fits_the_command(name: str) -> None:
    """Parsed as it stands, without being run: options that were renamed do not survive in examples."""
    for words in examples(name):
        command = GROUP.commands[name]
        context = command.make_context(name, words[2:], resilient_parsing=False)
        assert context.params


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    for parameter in GROUP.commands[name].params:
        assert getattr(parameter, "help", ""), f"{name}: {parameter.name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_debug(name: str) -> None:
    assert "debug" in {p.name for p in GROUP.commands[name].params}


@pytest.mark.parametrize("name", ["report", "diagnose", "stitch"])
def test_a_wrong_option_gets_the_nearest_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "x.csv", "--outptu", "y"]) == 2
    assert "--output" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "offered"), [("dia", "diagnose"), ("report --form", "--format"), ("show pri", "pricer.csv")]
)
def test_the_shell_completes_commands_options_and_runs(log: Path, typed: str, offered: str) -> None:
    environment = {
        **os.environ, "_RUNSCOPE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": f"runscope {typed}",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'runscope'; from runscope.cli import main; sys.exit(main())"],
        env=environment, cwd=log.parent, capture_output=True, text=True,
    )  # fmt: skip
    assert offered in done.stdout, done.stderr


def on_a_terminal(words: list[str], **environment: str) -> str:
    """What a person sees: run with a pseudo-terminal as stdout and stderr."""
    own, other = pty.openpty()
    quiet = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "CI")}
    with subprocess.Popen(
        [sys.executable, "-m", "runscope", *words], stdin=subprocess.DEVNULL, stdout=other, stderr=other,
        env={**quiet, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    ) as process:  # fmt: skip
        os.close(other)
        seen = b""
        while True:
            try:
                part = os.read(own, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
        process.wait()
    os.close(own)
    return seen.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")


def test_a_terminal_gets_colours_unless_they_are_not_wanted(log: Path) -> None:
    assert COLOUR.search(on_a_terminal(["stitch", str(log)]))
    assert not COLOUR.search(on_a_terminal(["stitch", str(log)], NO_COLOR="1"))


def test_a_pipe_gets_plain_text(log: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runscope", "diagnose", str(log)], capture_output=True, text=True, check=True
    )
    assert "\x1b" not in done.stdout


HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\u2066\r"


@pytest.mark.parametrize("command", ["show", "stitch", "diagnose"])
def test_a_hostile_name_does_not_steer_the_terminal(command: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.jsonl"
    rows = [{"step": k, "train/loss": 1 / k, f"bad{HOSTILE}": k} for k in range(1, 30)]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    place = tmp_path / f"run{HOSTILE.replace(chr(13), '')}.jsonl"
    path.rename(place)
    seen = on_a_terminal([command, str(place)], NO_COLOR="1")
    assert len(seen) > 200
    assert command != "show" or "evil" in seen, "it is shown"
    for sign in ("\x1b[2J", "\x1b]0", "\x07", "\x9b", "\u202e", "\u2066"):
        assert sign not in seen
    gone = on_a_terminal([command, str(tmp_path / f"missing{HOSTILE}")], NO_COLOR="1")
    assert "error:" in gone
    assert "\x1b[2J" not in gone
    assert "\x07" not in gone


def test_markdown_of_a_hostile_run_notifies_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "@maintainer <img src=x> **bold** #12.csv"
    path.write_text(ROWS, encoding="utf-8")
    assert main(["stitch", str(path), "--format", "markdown"]) == 0
    text = capsys.readouterr().out
    assert "@maintainer" not in text
    assert "<img" not in text
    assert r"\*\*bold" in text


def test_settings_come_from_file_and_environment(tmp_path: Path) -> None:
    (tmp_path / "runscope.toml").write_text(
        'project = "me/pricer"\n[diagnose]\nformat = "markdown"\nfail-on = "critical"\n', encoding="utf-8"
    )
    found = defaults(tmp_path, {})
    assert found["diagnose"] == {"project": "me/pricer", "format": "markdown", "fail_on": "critical"}
    assert "project" not in found["rule"], "a command without the option is left alone"
    said = {
        "RUNSCOPE_FORMAT": "json",
        "RUNSCOPE_DIAGNOSE_IGNORE": "eval_loss grad_norm",
        "RUNSCOPE_STITCH_FORMAT": "text",
    }
    found = defaults(tmp_path, said)
    assert found["diagnose"]["format"] == "json"
    assert found["stitch"]["format"] == "text", "the command's own variable holds"
    assert found["diagnose"]["ignore"] == ["eval_loss", "grad_norm"]
    assert "format" not in defaults(tmp_path, {"RUNSCOPE_FORMAT": "jsonl"})["report"], (
        "a report has no such form"
    )


def test_what_is_said_holds_over_environment_and_file(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(log.parent)
    monkeypatch.setenv("RUNSCOPE_FORMAT", "json")
    assert main(["diagnose", str(log)]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "runscope.diagnosis/1"
    assert main(["diagnose", str(log), "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("**")


@pytest.mark.parametrize(
    ("content", "nearest"),
    [
        ("projct = 'a/b'", "project"),
        ("[diagnos]\nformat = 'json'", "diagnose"),
        ("[report]\noutptu = 'x'", "output"),
    ],
)
def test_an_unknown_setting_is_refused(tmp_path: Path, content: str, nearest: str) -> None:
    (tmp_path / "runscope.toml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        defaults(tmp_path, {})
    assert repr(nearest) in refused.value.hint


def test_debug_shows_where(log: Path) -> None:
    for words, environment in (
        (["--debug", "show", "none.csv"], {}),
        (["show", "none.csv"], {"RUNSCOPE_DEBUG": "1"}),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "runscope", *words], capture_output=True, text=True, cwd=log.parent,
            env={**os.environ, **environment},
        )  # fmt: skip
        assert "Traceback" in done.stderr
    plain = subprocess.run(
        [sys.executable, "-m", "runscope", "show", "none.csv"], capture_output=True, text=True, cwd=log.parent
    )
    assert "Traceback" not in plain.stderr
    assert plain.returncode == 2


@pytest.mark.parametrize("form", ["png", "svg", "markdown", "json"])
@pytest.mark.parametrize("command", ["report", "diagnose"])
def test_pictures_and_text_on_request(command: str, form: str, log: Path) -> None:
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "markdown": b"**", "json": b"{"}
    done = subprocess.run(
        [sys.executable, "-m", "runscope", command, str(log), "--format", form, "--quiet"], capture_output=True,
        cwd=log.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = log.parent / f"report.{form}"
    out = written.read_bytes() if command == "report" and form in ("png", "svg") else done.stdout
    assert out.startswith(begins[form])
    if form == "json":
        assert json.loads(out)["verdict"]["headline"]


def test_a_terminal_is_sent_no_picture(log: Path) -> None:
    seen = on_a_terminal(["diagnose", str(log), "--format", "png"])
    assert "--output curve.png" in seen


@pytest.mark.parametrize("ending", ["html", "png", "svg", "md", "json"])
def test_trainings_are_compared_in_every_form(ending: str, log: Path, tmp_path: Path) -> None:
    other = tmp_path / "better.csv"
    other.write_text(ROWS.replace("\n1,", "\n1,").replace(",0.", ",0.0"), encoding="utf-8")
    target = tmp_path / f"compared.{ending}"
    assert main(["report", str(log), str(other), "--compare", "--output", str(target), "--quiet"]) == 0
    assert target.stat().st_size > 300
    if ending == "json":
        found = json.loads(target.read_text(encoding="utf-8"))
        assert [t["name"] for t in found["trainings"]] == ["pricer", "better"]
        assert found["better"] == "better"


def test_a_comparison_is_made_again_from_its_recipe(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "better.csv"
    other.write_text(ROWS.replace(",0.", ",0.0"), encoding="utf-8")
    assert main(["report", str(log), str(other), "--compare", "--output", str(tmp_path / "a")]) == 0
    assert main(["report", str(tmp_path / "a" / "recipe.toml"), "--output", str(tmp_path / "b")]) == 0
    both = [json.loads((tmp_path / f / "findings.json").read_text(encoding="utf-8")) for f in ("a", "b")]
    assert both[0]["headline"] == both[1]["headline"]
    assert [t["loss"] for t in both[0]["trainings"]] == [t["loss"] for t in both[1]["trainings"]]
    assert "has changed since" not in capsys.readouterr().err
    other.write_text(ROWS, encoding="utf-8")
    assert main(["report", str(tmp_path / "a" / "recipe.toml"), "--output", str(tmp_path / "c")]) == 0
    assert "better.csv has changed since" in capsys.readouterr().err


def test_a_recipe_says_which_checkpoints_came_and_went(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "saved"

    def save(step: int, seed: int) -> None:
        (saved / f"checkpoint-{step}").mkdir(parents=True, exist_ok=True)
        for name, content in repos.adapter(seed).items():
            (saved / f"checkpoint-{step}" / name).write_bytes(content)

    def again() -> list[str]:
        capsys.readouterr()
        assert main(["report", str(tmp_path / "a" / "recipe.toml"), "--output", str(tmp_path / "b")]) == 0
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]

    for step in (1, 2):
        save(step, step)
    assert main(["report", str(log), "--hub", str(saved), "--output", str(tmp_path / "a")]) == 0
    save(1, 1)  # the same content at another time, as in a copied folder
    assert again() == []
    save(2, 5)
    save(3, 3)
    shutil.rmtree(saved / "checkpoint-1")
    changed, came, went = again()
    assert "checkpoint-2 has changed since" in changed
    assert "checkpoint-3 was not there" in came
    assert "checkpoint-1 is missing" in went


def test_what_a_recipe_decides_is_refused_beside_it(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be passed over, and the report be one of other examples than the user named."""
    assert main(["report", str(log), "--output", str(tmp_path / "a")]) == 0
    recipe = str(tmp_path / "a" / "recipe.toml")
    assert main(["report", recipe, "--train-data", "other.jsonl"]) == 2
    assert "decides --train-data itself" in capsys.readouterr().err
    monkeypatch.setenv("RUNSCOPE_TRAIN_DATA", str(log))  # a default is no wish
    assert main(["report", recipe, "--output", str(tmp_path / "b")]) == 0


def test_one_training_is_no_comparison(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(log), "--compare"]) == 2
    assert "A+B" in capsys.readouterr().err


def test_a_file_is_not_called_what_it_is_not(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = log.parent
    for words, said in (
        (["-f", "png", "-o", str(folder / "a.html")], "--format png does not fit"),
        (["-f", "json", "-o", str(folder / "a.csv")], "--format json does not fit"),
        (["-o", str(folder / "out.")], "has no ending"),
    ):
        assert main(["report", str(log), *words]) == 2
        assert said in capsys.readouterr().err
    assert [p.name for p in folder.iterdir()] == ["pricer.csv"], "nothing was written"
    assert main(["report", str(log), "-f", "markdown", "-o", str(folder / "a.md")]) == 0


@pytest.mark.parametrize(
    ("option", "known"), [("--device", "auto, cpu, cuda, mps"), ("--dtype", "float32"), ("--launch", "ray")]
)
def test_a_word_that_evaluate_does_not_know_is_refused_before_anything_is_read(
    option: str, known: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["evaluate", "me/gone", "--data", "gone.jsonl", "--run", "gone.csv", option, "bogus"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert "'bogus'" in error
    assert known in hint


def test_a_command_loads_itself_alone_and_leaves_the_environment_as_it_was() -> None:
    code = (
        "import os, sys; from runscope.cli import main; main(['rule', 'LOS001']);"
        "loaded = [m for m in sys.modules if m.startswith('runscope.cli.commands.')];"
        "print(loaded, 'OPENBLAS_NUM_THREADS' in os.environ)"
    )
    free = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=free)
    assert done.stdout.splitlines()[-1] == "['runscope.cli.commands.rule'] False"
