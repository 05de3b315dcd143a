"""How the types of the lower rooms show themselves, without knowing who draws them.

A line, a diagnosis and a study stand in rooms that must not know of pages and pictures. They are :class:`Shown`:
they ask whoever was named with :func:`draw_with`. ``runscope.api``, above all rooms, names the one who draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from runscope.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Artist(Protocol):
    """Draws what the lower rooms hold."""

    def html(self, what: Any) -> str:
        """A page that stands inside a notebook."""

    def plot(self, what: Any, axes: Axes | None) -> Axes:
        """A chart on matplotlib axes."""


_artists: list[Artist] = []


def draw_with(artist: Artist) -> None:
    """From now on, this one draws."""
    _artists[:] = [artist]


class Shown:
    """Shows itself in a notebook, and draws itself with matplotlib."""

    def _repr_html_(self) -> str | None:
        """What Jupyter shows; None (the plain text) where nobody draws."""
        return _artists[0].html(self) if _artists else None

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the main chart.

        Args:
            axes: where to; a new figure by default.

        Returns:
            The axes, to go on with.
        """
        if not _artists:
            raise UsageError("no drawing code is loaded", hint="import runscope.api first")
        return _artists[0].plot(self, axes)
