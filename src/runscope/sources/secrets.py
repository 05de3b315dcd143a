"""Keys and passwords that a training's configuration holds by mistake: they go no further."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from runscope.schema import DEEPEST

HIDDEN = "<hidden>"
_NAME = re.compile(
    r"(?:^|[_\-. ])(?:api[_\-]?key|access[_\-]?key|secret(?:[_\-]?key)?|password|passwd|private[_\-]?key|credentials?"
    r"|(?:api|hub|hf|huggingface|access|auth|wandb|bearer|refresh)[_\-]?token)$|^token$",
    re.IGNORECASE,
)
"""Names of secrets; ``pad_token`` and its like are none."""
_INSIDE = (
    re.compile(r"(?P<before>\b)(?:hf_[A-Za-z0-9]{16,}|(?:sk|pk)-[\w-]{20,}|gh[pousr]_\w{20,}|github_pat_\w{20,}"
               r"|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16})"),
    re.compile(r"(?P<before>://[^\s/:@]*:)[^\s/@]+(?=@)"),
    re.compile(
        r"(?P<before>(?:^|[\s'\"]|--)(?:[\w-]*(?:api[_-]?key|access[_-]?key|secret|password|passwd)"
        r"|(?:(?:api|hub|hf|huggingface|access|auth|wandb|bearer|refresh)[_-]?)?token)[ =:]+)(?!-)[^\s'\"]{6,}",
        re.IGNORECASE,
    ),
)  # fmt: skip
"""Tokens by their form, a password in an address, and what follows ``--token`` or ``API_KEY=`` on a command line."""
_MAYBE = re.compile(
    r"hf_|sk-|pk-|gh[pousr]_|github_pat_|glpat-|xox|AKIA|://|key|token|passw|secret", re.IGNORECASE
)
_VARIABLES = ("WANDB_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def without_secrets(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with ``<hidden>`` for what is a key by its name, or is one of the keys in the environment."""
    own = {value for name in _VARIABLES if (value := os.environ.get(name))}
    return {name: _cleaned(name, value, own) for name, value in config.items()}


def _cleaned(name: str, value: Any, own: set[str], depth: int = 0) -> Any:
    if isinstance(value, str):
        secret = (value and _NAME.search(name)) or any(key in value for key in own)
        return HIDDEN if secret else without_tokens(value)
    if depth > DEEPEST:
        return None  # nobody sets anything that deep
    if isinstance(value, Mapping):
        # The service wraps what a user set under the name "value".
        return {k: _cleaned(name if k == "value" else str(k), v, own, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_cleaned(name, v, own, depth + 1) for v in value]
    return value


def without_tokens(text: str) -> str:
    """A text (a command line, an address) with ``<hidden>`` for the tokens and passwords inside it."""
    if not _MAYBE.search(text):
        return text
    for pattern in _INSIDE:
        text = pattern.sub(lambda found: (found.group("before") or "") + HIDDEN, text)
    return text
