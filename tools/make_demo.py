"""Make the demo data with the real SDKs: ``python tools/make_demo.py [OUT]``.

A tiny Llama is trained from scratch on product descriptions and prices, then fine-tuned with LoRA for
another market by the Trainer, which logs to W&B (offline) and pushes to a Hub on loopback. In its last
epoch the process is killed; a second run starts from the last pushed adapter and goes on. Sister cases: a
healthy training with enough data, one whose gradients vanish, one whose gradients explode. Takes about
five minutes on two cores.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from tests.servers.hub import Hub, serve

from demo.data import ITEMS, build_tokenizer, encode, examples, write_jsonl
from demo.model import TARGETS, load_base, mean_loss, new_model, pretrain

REPO = "me/pricer-2024-09-13_13.04.39"
HEALTHY_REPO = "me/pricer-2024-09-20_09.12.05"
BASE_NAME = "pricer-base"


def main(out: Path) -> None:
    """Make everything in a temporary folder, then put what belongs together into ``out``."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder) / "hub") as hub:
        work = Path(folder)
        (work / "hub").mkdir(exist_ok=True)
        hub.use_lfs = False  # the bundle then holds the weights themselves
        make_data(work)
        make_base(work)
        killed_and_resumed(work, hub)
        healthy(work, hub)
        broken(work, hub)
        collect(work, hub, out)


def make_data(work: Path) -> None:
    """Few examples for the overfitting case, enough for the healthy one, held-out ones, and the old market's."""
    write_jsonl(work / "train.jsonl", examples(200, 3, shift=True, items=ITEMS[:240]))
    write_jsonl(work / "heldout.jsonl", examples(400, 4, shift=True, items=ITEMS[240:]))
    write_jsonl(work / "healthy-train.jsonl", examples(3000, 5, shift=True))
    write_jsonl(work / "general.jsonl", examples(100, 6, shift=False))  # the old market, which the base knows


def make_base(work: Path) -> None:
    """Pretrain the base and keep it in bfloat16."""
    import torch

    tokenizer = build_tokenizer()
    model = new_model(tokenizer, seed=0)
    rows = encode(tokenizer, examples(6000, 1, shift=False))
    loss = pretrain(model, rows, steps=2200, seed=0)
    held_out = encode(tokenizer, examples(400, 2, shift=False))
    print(f"base: {sum(p.numel() for p in model.parameters()):,} parameters, "
          f"training loss {loss:.3f}, held out {mean_loss(model, held_out):.3f}")  # fmt: skip
    model.to(torch.bfloat16).save_pretrained(work / "base")
    tokenizer.save_pretrained(work / "base")


def killed_and_resumed(work: Path, hub: Hub) -> None:
    """Run A is killed in its last epoch, some steps after its last push; run B goes on from that push."""
    plan = {
        "name": "pricer-2024-09-13_13.04.39", "seed": 11, "train_data": "train.jsonl", "epochs": 16, "batch": 4,
        "learning_rate": 1e-3, "warmup": 20, "rank": 8, "targets": [*TARGETS, "embed_tokens"], "log_every": 2,
        "save_every": 50, "repo": REPO, "pause_seconds": 0.03,
    }  # fmt: skip
    train(work, hub, plan, kill_at=790)
    store = hub.create(REPO)
    last = store.log("main")[0]
    print("killed; last push:", last[2])
    adapter = work / "last-pushed"
    adapter.mkdir()
    for path, _, _ in store.tree(last[0]):
        if path.startswith("adapter_"):
            (adapter / path).write_bytes(store.read(last[0], path) or b"")
    resumed = plan | {
        "name": "pricer-2024-09-13_18.40.11-resumed",
        "epochs": 6,
        "seed": 12,
        "adapter": "last-pushed",
    }
    train(work, hub, resumed)


def healthy(work: Path, hub: Hub) -> None:
    """Enough data, gentle settings: the last checkpoint is the best one."""
    plan = {
        "name": "pricer-2024-09-20_09.12.05", "seed": 21, "train_data": "healthy-train.jsonl", "epochs": 2,
        "batch": 16, "learning_rate": 1e-3, "warmup": 12, "rank": 8, "log_every": 4, "save_every": 75,
        "repo": HEALTHY_REPO, "pause_seconds": 0.02,
    }  # fmt: skip
    train(work, hub, plan)


def broken(work: Path, hub: Hub) -> None:
    """Two slips of the hand: the decimal point of the weight decay, and that of the learning rate.

    Weight decay a hundred times too strong pulls both of LoRA's factors to zero, and each one's gradient is
    proportional to the other. A rate a thousand times too high, without clipping, ends in NaN.
    """
    common = {"seed": 31, "train_data": "train.jsonl", "batch": 8, "rank": 8, "log_every": 1, "save_every": 1000,
              "optimiser": "sgd", "max_grad_norm": 0.0, "schedule": "constant_with_warmup"}  # fmt: skip
    train(work, hub, common | {"name": "pricer-vanishing", "epochs": 6, "learning_rate": 0.05, "weight_decay": 5.0,
                               "warmup": 5})  # fmt: skip
    train(
        work, hub, common | {"name": "pricer-exploding", "epochs": 6, "learning_rate": 3000.0, "warmup": 120}
    )


def train(work: Path, hub: Hub, plan: dict[str, Any], kill_at: int | None = None) -> None:
    """Run one fine-tuning in its own process group, and kill that at a step."""
    progress = work / "progress"
    progress.unlink(missing_ok=True)
    plan = plan | {"base": "base", "base_name": BASE_NAME, "progress": "progress"}
    environment = {
        **os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_demo", "HF_HOME": str(work / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "WANDB_MODE": "offline", "WANDB_SILENT": "true", "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }  # fmt: skip
    script = ROOT / "tools" / "demo" / "finetune.py"
    started = time.time()
    process = subprocess.Popen(
        [sys.executable, str(script), json.dumps(plan)], cwd=work, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None:
        time.sleep(0.005)
        if kill_at is not None and progress.exists() and int(progress.read_text() or 0) >= kill_at:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"{plan['name']} failed")
    print(f"{plan['name']}: {progress.read_text()} steps in {time.time() - started:.0f} s")


def collect(work: Path, hub: Hub, out: Path) -> None:
    """Put the data where the package finds it."""
    out.mkdir(parents=True, exist_ok=True)
    names = ("killed", "resumed", "healthy", "vanishing", "exploding")
    files = sorted((work / "wandb").glob("offline-run-*/run-*.wandb"), key=lambda f: f.parent.name)
    for name, file in zip(names, files, strict=True):
        shutil.copyfile(file, out / f"{name}.wandb")
    for repo, name in ((REPO, "pricer.bundle"), (HEALTHY_REPO, "healthy.bundle")):
        hub.create(repo).git("bundle", "create", str((out / name).resolve()), "HEAD", "main")
    for name in ("train.jsonl", "heldout.jsonl", "general.jsonl"):
        shutil.copyfile(work / name, out / name)
    rows = (work / "healthy-train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (out / "healthy-train.jsonl").write_text("".join(rows[:400]), encoding="utf-8")
    shutil.rmtree(out / "base", ignore_errors=True)
    shutil.copytree(work / "base", out / "base")
    total = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    print(f"{total / 1e6:.1f} MB in {out.name}")
    tokenizer = build_tokenizer()
    held_out = encode(tokenizer, [json.loads(s) for s in (out / "heldout.jsonl").read_text().splitlines()])
    print(f"held-out loss of the base: {mean_loss(load_base(out / 'base'), held_out):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "src" / "runscope" / "demo_data")
