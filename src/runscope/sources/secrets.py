"""Keys and passwords that a training's configuration holds by mistake: they go no further."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "<hidden>"
_NAME = re.compile(
    r"(?:^|[_\-. ])(?:api[_\-]?key|access[_\-]?key|secret(?:[_\-]?key)?|password|passwd|private[_\-]?key|credentials?"
    r"|(?:api|hub|hf|huggingface|access|auth|wandb|bearer|refresh)[_\-]?token)$|^token$",
    re.IGNORECASE,
)
"""Names of secrets; ``pad_token`` and its like are none."""
_VARIABLES = ("WANDB_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def without_secrets(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with ``<hidden>`` for what is a key by its name, or is one of the keys in the environment."""
    own = {value for name in _VARIABLES if (value := os.environ.get(name))}
    return {name: _cleaned(name, value, own) for name, value in config.items()}


def _cleaned(name: str, value: Any, own: set[str]) -> Any:
    if isinstance(value, str):
        secret = (value and _NAME.search(name)) or any(key in value for key in own)
        return HIDDEN if secret else value
    if isinstance(value, Mapping):
        # The service wraps what a user set under the name "value".
        return {k: _cleaned(name if k == "value" else str(k), v, own) for k, v in value.items()}
    if isinstance(value, list):
        return [_cleaned(name, v, own) for v in value]
    return value
