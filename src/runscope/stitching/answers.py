"""What was decided of runs at an earlier look, so that only those are compared anew for which something has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from runscope.stitching.node import Node
from runscope.stitching.pool import Told
from runscope.stitching.profile import Profile

FORM = 5
"""Of what is kept of an answer: those of another form are not known any more."""


class LateNode(Node):
    """A node whose run is read when somebody asks for it.

    Args:
        read: the run, looked over.
    """

    def __init__(self, read: Callable[[], Profile]) -> None:
        self._read = read
        self.children = []

    @cached_property
    def profile(self) -> Profile:  # type: ignore[override]
        """The run."""
        found = self._read()
        if self.parent is None:
            self.start = found.run.first_step
        return found


class Answers:
    """Answers of an earlier look, and those of this one.

    An answer holds as long as nothing has changed of what it was taken from: the run, the earlier runs that it was held
    against and where they hang, and what all runs together say of them. One token stands for all of that.

    Args:
        contents: of each run something that changes with it; empty for one that changes by itself.
        before: answers of the earlier look, as :attr:`now` has them.

    Attributes:
        now: by the content of a run: its token, how sure the answer is, and where the run hangs.
    """

    def __init__(self, contents: Sequence[str], before: Mapping[str, Sequence[Any]]) -> None:
        self._contents, self._before = contents, before
        self._states: dict[int, str] = {}
        self.now: dict[str, Sequence[Any]] = {}

    def ask(self, number: int, members: Sequence[int], told: Told) -> tuple[str, Sequence[Any] | None]:
        """The token of a run, empty where nothing can be remembered of it, and its answer of the earlier look, where
        that holds.

        Args:
            number: the run.
            members: the earlier runs that it is held against.
            told: what all runs together say of it and of each of them.
        """
        content = self._contents[number]
        states = [self._state(n) for n in members]
        if not content or not all(states):
            return "", None
        token = _short([content, *states, told])
        known = self._before.get(content)
        return token, known if known is not None and known[0] == token else None

    def keep(
        self,
        number: int,
        members: Sequence[int],
        token: str,
        sure: float,
        where: Sequence[Any] | None,
        own: Sequence[float] = (),
    ) -> None:
        """Note where a run hangs.

        Args:
            number: the run.
            members: the earlier runs that it was held against.
            token: as :meth:`ask` gave it.
            sure: how sure that is.
            where: on which of those, and where on it, as :func:`hung` says; None for none of them.
            own: what the run was taken for on the word of the others, and would not be where it is read anew: its
                answer is not remembered then.
        """
        parent = "" if where is None else self._state(members[where[0]])
        known = token and (where is None or parent)
        self._states[number] = (
            _short([self._contents[number], parent, where and where[1:], own]) if known else ""
        )
        if token and not own:
            self.now[self._contents[number]] = [token, sure, where]

    def _state(self, number: int) -> str:
        """What changes with a run and with where it hangs; one that was held against none hangs on none."""
        if number not in self._states:
            content = self._contents[number]
            self._states[number] = _short([content, "", None, ()]) if content else ""
        return self._states[number]


def hung(node: Node, members: Sequence[Node]) -> list[Any] | None:
    """Where a run hangs on one of those that it was held against; None where it hangs on none."""
    if node.parent is None:
        return None
    # Its place among those that it was held against: among all runs it may be another the next time.
    parent = members.index(node.parent)
    return [parent, node.offset, node.scale, node.start, node.own_start, node.other_data]


def hang_again(node: Node, answer: Sequence[Any], members: Sequence[Node]) -> float:
    """Hang a run where the earlier look has hung it, on one of the runs that it was held against or on none.

    Returns:
        How sure that was.
    """
    _, sure, where = answer
    if where is not None:
        parent, node.offset, node.scale, node.start, node.own_start, node.other_data = where
        node.parent = members[parent]
        node.parent.children.append(node)
    return float(sure)


def _short(what: Sequence[Any]) -> str:
    return hashlib.blake2b(repr([FORM, *what]).encode(errors="replace"), digest_size=12).hexdigest()
