"""What Python prints of a history: ``print(trainer.state.log_history)``, ``print(history.history)``, lists by name."""

from __future__ import annotations

import ast
import re
from typing import Any

from runscope.sources.tables.cells import unwrapped

HEAD = 1 << 12
_PRINTED = re.compile(r"\s*(?:\[\s*\{\s*'|\{\s*'[^'\n]*'\s*:\s*\[)")
_LIST_BY_NAME = re.compile(
    r"^[ \t]*['\"]?([A-Za-z][\w ./-]*?)['\"]?[ \t]*[:=][ \t]*\[((?:[-+\s\d.,eE]|nan|inf|None)+)\]",
    re.MULTILINE,
)
_BEGINS = re.compile(r"\s*['\"]?([A-Za-z][\w ./-]*?)['\"]?\s*[:=]\s*\[\s*[-+\d.]")
_MEASURES = re.compile(r"loss|acc|error|ppl|perplexity|reward|f1", re.IGNORECASE)
_NO_LITERAL = re.compile(r"(?<![\w'\"])([-+]?)(nan|inf)(?![\w'\"])")
_MOST = 1 << 26


def is_printed(head: str) -> bool:
    """Whether a text that begins so is a list of dicts, a dict of lists, or lists below each other, as printed."""
    if _PRINTED.match(head) is not None:
        return True
    named = _LIST_BY_NAME.match(head.lstrip()) or re.match(
        r"\s*['\"]?([A-Za-z][\w ./-]*?)['\"]?\s*[:=]\s*\[\s*[-+\d.]", head
    )
    return named is not None and _MEASURES.search(named[1]) is not None


def parsed(text: str) -> Any:
    """The value that a printed text stands for.

    Raises:
        ValueError: it is cut, or none.
    """
    if _PRINTED.match(text) is None:
        return {name.strip(): _value(f"[{values}]") for name, values in _LIST_BY_NAME.findall(text)}
    return _value(text)


def _value(text: str) -> Any:
    if len(text) > _MOST:
        raise ValueError("it is too large for what Python prints: write it with json.dump")
    try:
        return ast.literal_eval(_NO_LITERAL.sub(r"'\1\2'", unwrapped(text.strip())))
    except ValueError:
        raise ValueError(
            "it looks printed by Python, and holds something else than numbers and words"
        ) from None
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"it looks printed by Python, and cannot be read back: {error}") from None
