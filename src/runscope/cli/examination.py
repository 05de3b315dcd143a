"""What is installed, which accounts and GPUs are there, what is missing and how to get it."""

from __future__ import annotations

import netrc
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from runscope.units import readable_bytes

CORE = ("wandb", "huggingface_hub", "numpy", "pandas", "pyarrow", "matplotlib")
EXTRAS = {"torch": "eval", "transformers": "eval", "peft": "eval", "accelerate": "eval", "ray": "ray"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was found, and what to do where it is not well."""

    name: str
    ok: bool
    found: str
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def examine() -> list[Check]:
    """Look at packages, tools, accounts, accelerators and the store. Sends nothing over the network."""
    return [*_packages(), *_tools(), _wandb_account(), _hub_account(), _accelerator(), _store()]


def _packages() -> Iterator[Check]:
    yield Check("runscope", True, version("runscope"))
    for name in CORE:
        found = _version(name)
        yield Check(
            name,
            found is not None,
            found or "missing",
            "" if found else "pip install --force-reinstall runscope",
        )
    for name, extra in EXTRAS.items():
        found = _version(name)
        yield Check(
            name,
            found is not None,
            found or "not installed",
            "" if found else f"pip install 'runscope[{extra}]'",
        )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _tools() -> Iterator[Check]:
    found = shutil.which("git")
    yield Check(
        "git",
        found is not None,
        found or "not found",
        "" if found else "needed to read local clones: install git",
    )


def _wandb_account() -> Check:
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1].strip("/")
    if os.environ.get("WANDB_API_KEY"):
        return Check("W&B account", True, f"key in WANDB_API_KEY for {host}")
    try:
        place = netrc.netrc(os.environ.get("NETRC"))
        known = [h for h in place.hosts if h == host or "wandb" in h or "coreweave" in h]
    except (OSError, netrc.NetrcParseError):
        known = []
    if known:
        return Check("W&B account", True, f"key in netrc for {', '.join(known)}")
    return Check("W&B account", False, "no key found", "only needed for runs in the cloud: wandb login")


def _hub_account() -> Check:
    from huggingface_hub import get_token

    if get_token():
        return Check("Hugging Face account", True, "token found")
    return Check(
        "Hugging Face account", False, "no token found", "only needed for private repositories: hf auth login"
    )


def _accelerator() -> Check:
    if _version("torch") is None:
        return Check("accelerator", False, "unknown without torch", "pip install 'runscope[eval]'")
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Check("accelerator", True, ", ".join(names))
    if torch.backends.mps.is_available():
        return Check("accelerator", True, "Apple GPU (MPS)")
    return Check("accelerator", False, "none: checkpoints are evaluated on the CPU", "fine for small models")


def _store() -> Check:
    from runscope.store.home import home as store_home

    home = store_home()
    place = next(p for p in (home, *home.parents) if p.exists())
    free = shutil.disk_usage(place).free
    writable = os.access(place, os.W_OK)
    return Check(
        "store",
        writable and free > 1e9,
        f"{home}, {readable_bytes(free)} free" + ("" if writable else ", read-only"),
        "" if writable and free > 1e9 else "set RUNSCOPE_HOME to a folder with space",
    )
