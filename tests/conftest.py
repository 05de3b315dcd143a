"""What holds for all tests, and for every process that they start."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A change is judged by what it changes, not by the examples that chance draws that day; `make torture` draws new ones.
settings.register_profile("the same", derandomize=True)
settings.load_profile("default" if "RUNSCOPE_TORTURE" in os.environ else "the same")

# The Hub stand-in takes uploads as plain LFS; the client reads this when it is imported.
os.environ["HF_HUB_DISABLE_XET"] = "1"
# Two test processes on two cores: more threads would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A suite that was started in the background ignores Ctrl-C, and so would every process that it starts.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        pytest.skip("no chromium at /usr/bin/chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM))
        yield opened
        opened.close()
