"""Amounts for people."""

from __future__ import annotations

import pytest

from runscope.units import readable_bytes


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"), (1, "1 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345, "12.3 kB"), (999_960, "1.0 MB"),
        (109_051_904, "109.1 MB"), (1.5e9, "1.5 GB"), (2.25e12, "2.2 TB"), (3e15, "3,000.0 TB"),
    ],
)  # fmt: skip
def test_bytes_are_given_in_thousands(count: float, text: str) -> None:
    assert readable_bytes(count) == text
