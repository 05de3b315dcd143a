"""A hostile chat template ends with an error: it neither runs for ever nor takes all memory nor reaches anything."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runscope.errors import UnsafeFile
from runscope.evaluation.examples import limits

LOOPS = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}" + 3 * "{% endfor %}"
)


def rendered(template: str) -> str:
    with limits.limited():
        return ImmutableSandboxedEnvironment().from_string(template).render()


def test_an_honest_template_is_rendered_as_ever() -> None:
    assert rendered("{% for t in ['a', 'b'] %}{{ t }}{% endfor %}") == "ab"


def test_loops_without_end_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSCOPE_TEMPLATE_SECONDS", "0.3")
    with pytest.raises(UnsafeFile, match="chat template runs for longer"):
        rendered(LOOPS)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no such limit on this system")
@pytest.mark.parametrize("template", ["{{ ('a' * 10**11) | length }}", "{{ [0] * 10**11 }}"])
def test_a_bomb_of_memory_is_refused(template: str) -> None:
    with pytest.raises(UnsafeFile, match="too much memory"):
        rendered(template)


def test_each_thread_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSCOPE_TEMPLATE_SECONDS", "0.3")
    ended: list[bool] = []

    def hostile() -> None:
        try:
            rendered(LOOPS)
        except UnsafeFile:
            ended.append(True)

    thread = threading.Thread(target=hostile)
    thread.start()
    while thread.is_alive():
        time.sleep(0.01)  # this thread is not the one that is ended
    assert ended == [True]
