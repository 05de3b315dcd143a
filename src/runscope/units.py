"""Amounts for people."""

from __future__ import annotations

import re


def readable_bytes(count: float) -> str:
    """``512 B``, ``12.3 kB``, ``1.5 GB``: a kilobyte is 1,000 bytes, as disks and the Hub count."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.99995 * one:  # 999,960 bytes are 1.0 MB, not 1000.0 kB
            return f"{count / one:,.1f} {unit}"
    return f"{count:.0f} B"


def count_bytes(words: str) -> int:
    """``50GB``, ``1.5 TB`` or a plain number of bytes, as :func:`readable_bytes` writes them.

    Raises:
        ValueError: it is no amount.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)B?\s*", words)
    if found is None:
        raise ValueError(words)
    return int(float(found[1]) * {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[found[2].upper()])


def chance_words(share: float) -> str:
    """A probability as a percentage that claims no certainty: ``under 1%``, ``over 99%``, and what lies between."""
    if 0 < share < 1:
        return "under 1%" if share < 0.01 else "over 99%" if share > 0.99 else f"{share:.0%}"
    return "under 1%" if share <= 0 else "100%"
