"""Batches fit the memory there is; one that does not is halved, and the numbers stay what they are."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from runscope.errors import InputError
from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.models.memory import Budget, available, bytes_a_token
from tests.evaluation import tiny
from tests.evaluation.conftest import Place

SHORT_OF_MEMORY = """
import json, resource, sys
import numpy as np
from pathlib import Path
from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models.local import LocalModels
base, data, how = sys.argv[1:]
models = LocalModels(EvaluateSettings(batch_tokens=8192))
models.use(Path(base))
examples = read_examples(data)
models.token_losses(examples[:2])  # whatever is loaded late is loaded now
pages = int(Path("/proc/self/statm").read_text().split()[0])
if how == "short":
    now = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (96 << 20), now + (96 << 20)))
losses = [t.tolist() for t in models.token_losses(examples)]
answers = models.answers(examples[:40], 4)
print(json.dumps({"scale": models.budget.scale, "losses": losses, "answers": answers}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on a process's memory is set as Linux has it")
def test_a_batch_that_does_not_fit_is_halved_and_goes_on(tmp_path: Path) -> None:
    made = tiny.llama(vocabulary=30_000)  # logits of one large batch: 300 MB and more
    base = tiny.save_base(made, tmp_path / "base")
    data = tiny.write_examples(tmp_path / "e.jsonl", 300, 1)
    answers = {}
    for how in ("ample", "short"):
        done = subprocess.run(
            [sys.executable, "-c", SHORT_OF_MEMORY, str(base), str(data), how],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answers[how] = json.loads(done.stdout)
    assert answers["ample"]["scale"] == 1
    assert answers["short"]["scale"] < 1, "memory ran out, and the batches were halved"
    assert answers["short"]["answers"] == answers["ample"]["answers"]
    for one, other in zip(answers["short"]["losses"], answers["ample"]["losses"], strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("bfloat16", 0.06)])
def test_the_numbers_do_not_depend_on_the_batch(place: Place, dtype: str, tolerance: float) -> None:
    examples = read_examples(place.held_out)[:40]
    found = []
    for tokens in (1, 100, 5000):
        models = LocalModels(EvaluateSettings(batch_tokens=tokens, dtype=dtype), place.base)
        models.use(place.output / "checkpoint-300")
        found.append(np.concatenate(models.token_losses(examples)))
    np.testing.assert_allclose(found[1], found[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found[2], found[0], rtol=tolerance, atol=tolerance)


def test_rows_follow_from_the_memory() -> None:
    budget = Budget()
    budget.tokens, budget.bytes, budget.token_bytes, budget.logit_bytes = 1000, 10_000, 10, 100
    assert budget.rows([(100, 1)] * 50) == 8, "8 rows × (100 tokens × 10 + 2 × 100 logits) = 9,600 bytes"
    assert budget.rows([(2000, 1)] * 3) == 1, "one row at least"
    assert budget.rows([(10, 1)] * 3) == 3
    budget.halve()
    assert budget.rows([(100, 1)] * 50) == 4
    given = Budget(batch_tokens=500)
    given.bytes = 1
    assert given.rows([(100, 1)] * 50) == 5, "what the user says is done"


def test_the_estimate_is_of_the_order_of_what_a_batch_takes() -> None:
    model = tiny.llama(vocabulary=20_000)
    token, logit = bytes_a_token(model.config, 4)
    assert logit == 20_000 * 12
    assert token == (8 * 32 + 3 * 64) * 4
    assert torch.float32.itemsize == 4


def test_what_files_hold_that_were_read_counts_as_free() -> None:
    told = "MemTotal:  24000000 kB\nMemFree:  1000 kB\nMemAvailable:  20000 kB\nSwapFree:  500 kB\n"
    assert available(told) == 20_000 * 1024
    assert available(told, swap=True) == 20_500 * 1024
    assert available("MemTotal:  24000000 kB\nMemFree:  1000 kB\n") is None


def test_a_model_that_cannot_fit_is_refused_with_the_arithmetic(place: Place, tmp_path: Path) -> None:
    """A sparse file of 4 TB: were it read, the test would not end."""
    base = tmp_path / "base"
    shutil.copytree(place.base, base)
    size = 4_000_000_000_000
    tensor = {"dtype": "BF16", "shape": [2_000_000, 1_000_000], "data_offsets": [0, size]}
    header = json.dumps({"model.layers.0.w": tensor}).encode()
    with (base / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)
    for dtype, need in (("float32", "8.0 TB"), ("bfloat16", "4.0 TB")):
        models = LocalModels(EvaluateSettings(device="cpu", dtype=dtype), base)
        with pytest.raises(
            InputError, match=f"weights need {need} in {dtype}, and .* is free on cpu"
        ) as told:
            models.use(place.output / "checkpoint-300")
        assert "--dtype bfloat16" in told.value.hint


SHORT_WHILE_LOADING = """
import resource, sys
from pathlib import Path
from runscope.errors import InputError
from runscope.evaluation import EvaluateSettings
from runscope.evaluation.models.local import LocalModels
small, large = sys.argv[1:]
models = LocalModels(EvaluateSettings(device="cpu", dtype="float32"))
models.use(Path(small))
now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20), now + (64 << 20)))
try:
    models.use(Path(large))
except InputError as error:
    print(error.message, "|", error.hint)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on a process's memory is set as Linux has it")
def test_memory_that_runs_out_while_loading_is_said(tmp_path: Path) -> None:
    small = tiny.save_base(tiny.llama(), tmp_path / "small")
    large = tiny.save_base(tiny.llama(vocabulary=1_500_000), tmp_path / "large")  # 384 MB
    done = subprocess.run(
        [sys.executable, "-c", SHORT_WHILE_LOADING, str(small), str(large)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "does not fit into memory, which ran out on cpu while it was loaded in float32" in done.stdout, (
        done.stderr
    )
    assert "--dtype bfloat16" in done.stdout
