"""A run in the tree of its training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from math import inf

from runscope.history import Alternative, Method
from runscope.stitching.evidence import curves
from runscope.stitching.profile import Profile, sound_part


@dataclass(eq=False)
class Node:
    """A run on the continuous axis of its training.

    Attributes:
        profile: the run.
        parent: the run that it continues; None for the first of a training.
        offset, scale: continuous step = ``scale`` × own step + ``offset``.
        start: continuous step of the state that it began from.
        own_start: the same on the parent's own axis.
        confidence: probability that the offset is right; for the first of a training that it continues none of
            the earlier runs.
        other_data: that it learns from other data than the run that it continues, and what tells so, in words; empty
            where nothing does.
        gain: log-likelihood ratio of all that was found against runs that have nothing to do with each other.
    """

    profile: Profile
    parent: Node | None = None
    offset: int = 0
    scale: float = 1.0
    start: int = 0
    own_start: float = inf
    method: Method = "start"
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    gain: float = 0.0
    other_data: str = ""
    children: list[Node] = field(default_factory=list)

    @property
    def root(self) -> Node:
        """The first run of its training."""
        return self if self.parent is None else self.parent.root

    @property
    def stretch(self) -> Node:
        """The run with which the part of its line began that learns from the same data, or from the same weights."""
        return self if self.parent is None or self.other_data else self.parent.stretch

    @property
    def path(self) -> list[Node]:
        """From the first run to this one."""
        return [self] if self.parent is None else [*self.parent.path, self]

    @property
    def end(self) -> int:
        """Last continuous step."""
        return max(self.start, round(self.scale * self.profile.run.last_step) + self.offset)

    @cached_property
    def curve(self) -> curves.Reference:
        """Levels of the line that ends in this run, its dead tail included, from where its data last changed."""
        path = self.path[self.path.index(self.stretch) :]
        ends = [*(child.start for child in path[1:]), inf]
        return curves.reference(
            [(n.profile, n.offset, n.scale, end) for n, end in zip(path, ends, strict=True)]
        )

    def seen_as(self, profile: Profile) -> None:
        """Take the run for what a profile says."""
        if profile is not self.profile:
            self.profile = profile
            self.__dict__.pop("curve", None)

    def hang(self, parent: Node, offset: int, scale: float, start: int) -> None:
        """Place the run behind another; all three on that run's own axis."""
        self.parent = parent
        self.own_start = start
        self.offset = round(parent.scale * offset) + parent.offset
        self.scale = parent.scale * scale
        self.start = round(parent.scale * start) + parent.offset
        parent.children.append(self)


@contextmanager
def before_they_broke(nodes: Sequence[Node], later: Profile) -> Iterator[None]:
    """For as long as one later run is held against them: runs without an end at which they were broken, where that run
    goes on from before it."""
    whole = [node.profile for node in nodes]
    for node, profile in zip(nodes, whole, strict=True):
        node.seen_as(sound_part(profile, later))
    try:
        yield
    finally:
        for node, profile in zip(nodes, whole, strict=True):
            node.seen_as(profile)
