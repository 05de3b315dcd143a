"""Names of a package that are fetched when they are first used: whoever needs one loads no other module.

A package imports them under ``if TYPE_CHECKING:``, each as itself (``from x.y import name as name``): so type
checkers and import-linter see them, and :func:`fetched` reads the very same lines at run time. By hand, because
stub files, which do the same for the packages that load lazily, would hide the imports from import-linter.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

Parts = tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]


def fetched(package: str, *, first: str | None = None) -> Parts:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Args:
        package: its ``__name__``.
        first: a module that has to be there before any of the names is used.
    """
    homes = dict(_homes(package))

    def fetch(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if first is not None:
            import_module(first)
        value = getattr(import_module(home), name)
        setattr(sys.modules[package], name, value)  # asked for once only
        return value

    return fetch, lambda: sorted({*vars(sys.modules[package]), *homes}), sorted(homes)


def _homes(package: str) -> Iterator[tuple[str, str]]:
    """Every name under ``if TYPE_CHECKING:`` that is imported as itself, and the module that defines it."""
    spec = find_spec(package)
    source = getattr(spec.loader, "get_source", lambda _: None)(package) if spec is not None else None
    for node in ast.parse(source or "").body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom) and line.module is not None:
                    yield from ((a.name, line.module) for a in line.names if a.asname == a.name)
