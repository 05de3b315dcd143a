"""Names of metrics, recognised by their bytes for many items at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from runscope.sources.protobuf import Bytes, Words
from runscope.stats.arrays import Bools, Ints

_MOST = 1 << 15
_SLOTS = 1 << 16
_LONGEST = 128
_KEEP = np.array([(1 << 8 * size) - 1 for size in range(8)] + [(1 << 64) - 1], dtype=np.uint64)
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)


@dataclass
class Names:
    """The names seen so far in a file. A name is its number in ``known``.

    A name's first and last eight bytes, those between and its length are mixed to the number of a slot, and
    compared with the name that has the slot. Two names of one slot are possible: the later one is not known here.
    """

    known: list[str] = field(default_factory=list)
    _slot: Ints = field(default_factory=lambda: np.full(_SLOTS, -1, dtype=np.int64))
    _words: Words = field(default_factory=lambda: np.zeros((_MOST, _LONGEST // 8 + 1), dtype=np.uint64))
    _size: Ints = field(default_factory=lambda: np.zeros(_MOST, dtype=np.int64))

    def find(self, data: Bytes, words: Words, start: Ints, size: Ints, wanted: Bools) -> Ints:
        """Number of the name at each place, -1 where it is not wanted or cannot be known here.

        Args:
            data, words: the bytes, and eight of them from every place on.
            start, size: (n,) int64, where each name lies; at most 127 bytes long.
            wanted: (n,) which of them to find.
        """
        if not wanted.all():
            found = np.full(len(start), -1, dtype=np.int64)
            index = np.flatnonzero(wanted)
            found[index] = self._find(data, words, start[index], size[index])
            return found
        return self._find(data, words, start, size)

    def _find(self, data: Bytes, words: Words, start: Ints, size: Ints) -> Ints:
        keys = _Keys.of(words, start, size)
        found = self._look_up(keys)
        new = np.flatnonzero(found < 0)
        if len(new):
            _, first = np.unique(keys.slot[new], return_index=True)
            for index in new[np.sort(first)].tolist():
                self._learn(keys, index, data[start[index] : start[index] + size[index]].tobytes())
            found[new] = self._look_up(keys.some(new))
        return found

    def _look_up(self, keys: _Keys) -> Ints:
        found = self._slot[keys.slot]
        same = (found >= 0) & (self._size[found] == keys.size)
        same &= (self._words[found, 0] == keys.first) & (self._words[found, -1] == keys.last)
        for column, (index, middle) in enumerate(keys.middle, 1):
            same[index] &= self._words[found[index], column] == middle
        return np.where(same, found, -1)

    def _learn(self, keys: _Keys, index: int, name: bytes) -> None:
        slot, number = keys.slot[index], len(self.known)
        if self._slot[slot] >= 0 or number >= _MOST:
            return
        self._slot[slot] = number
        self._size[number] = keys.size[index]
        self._words[number, 0], self._words[number, -1] = keys.first[index], keys.last[index]
        for column, (where, middle) in enumerate(keys.middle, 1):
            place = np.flatnonzero(where == index)
            if len(place):
                self._words[number, column] = middle[place[0]]
        self.known.append(name.decode("utf-8", "replace"))


@dataclass
class _Keys:
    """Bytes of names as words: the first eight, the last eight, and all between of those that have more."""

    size: Ints
    first: Words
    last: Words
    middle: list[tuple[Ints, Words]]
    slot: Ints

    @classmethod
    def of(cls, words: Words, start: Ints, size: Ints) -> _Keys:
        keep = _KEEP[np.minimum(size, 8)]
        first = words[start] & keep
        last = words[start + np.maximum(size - 8, 0)] & keep
        mixed = (first * _MIX[0]) ^ (last * _MIX[1]) ^ size.astype(np.uint64)
        middle = []
        longest = int(size.max(initial=0))
        for offset in range(8, longest - 8, 8):
            index = np.flatnonzero(size > offset + 8)
            word = words[start[index] + offset]
            middle.append((index, word))
            mixed[index] = (mixed[index] ^ word) * _MIX[2]
        slot = ((mixed * _MIX[0]) >> np.uint64(48)).astype(np.int64)
        return cls(size, first, last, middle, slot)

    def some(self, index: Ints) -> _Keys:
        """The names at the given places."""
        place = np.full(len(self.size), -1, dtype=np.int64)
        place[index] = np.arange(len(index))
        middle = []
        for where, word in self.middle:
            chosen = place[where] >= 0
            middle.append((place[where[chosen]], word[chosen]))
        return _Keys(self.size[index], self.first[index], self.last[index], middle, self.slot[index])
