"""Many points in few bytes: how a page carries its curves.

Steps are stored as distances, values as the upper half of a float64, rounded to 16 bits of fraction (five
digits). Both are cut into planes: all first bytes, then all second bytes. Planes of one kind of byte compress
well; `gzip` then brings a point to about three bytes, a quarter of what it takes as JSON.
"""

from __future__ import annotations

import base64
import gzip

import numpy as np
import numpy.typing as npt

from runscope.history import Series
from runscope.stats.arrays import Floats

VALUE_BYTES = 4
FRACTION_BITS = 16


class Packer:
    """Collects curves; the page finds them again by what :meth:`add` returns."""

    def __init__(self) -> None:
        self._planes: list[bytes] = []
        self._size = 0

    def add(self, series: Series) -> dict[str, int]:
        """Put a curve in.

        Args:
            series: strictly rising in step, finite values only.

        Returns:
            ``at`` (offset in bytes), ``n`` (points), ``x0`` (first step), ``xb`` (bytes a distance of steps).
        """
        if not len(series):
            return {"at": self._size, "n": 0, "x0": 0, "xb": 0}
        distance = np.diff(series.step, prepend=series.step[0]).astype("<u8")
        width = max(1, (int(distance.max()).bit_length() + 7) // 8)
        place = {"at": self._size, "n": len(series), "x0": int(series.step[0]), "xb": width}
        self._push(distance.view(np.uint8).reshape(-1, 8)[:, :width])
        self._push(_upper_half(series.value))
        return place

    def _push(self, rows: npt.NDArray[np.uint8]) -> None:
        """Rows of bytes, one a point, as planes."""
        planes = np.ascontiguousarray(rows.T).tobytes()
        self._planes.append(planes)
        self._size += len(planes)

    def text(self) -> str:
        """Everything as base64 text; the same curves give the same text."""
        return base64.b64encode(gzip.compress(b"".join(self._planes), compresslevel=6, mtime=0)).decode()


def _upper_half(values: Floats) -> npt.NDArray[np.uint8]:
    """First four bytes of each float64, most significant first, rounded to the nearest."""
    dropped = 52 - FRACTION_BITS
    bits = np.clip(values, -1.7e308, 1.7e308).astype("<f8").view("<u8")
    rounded = ((bits + np.uint64(1 << (dropped - 1))) >> np.uint64(dropped)) << np.uint64(dropped)
    return rounded.view(np.uint8).reshape(-1, 8)[:, : 8 - VALUE_BYTES - 1 : -1]
