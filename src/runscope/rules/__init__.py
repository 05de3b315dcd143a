"""One file a rule, in folders by family; ``codes.py`` is the table of them."""

from runscope.rules.engine import look
from runscope.rules.finding import (
    SEVERITIES,
    CouldNotLook,
    Evaluated,
    Finding,
    Findings,
    Metric,
    Rule,
    Severity,
    View,
)

__all__ = [
    "SEVERITIES",
    "CouldNotLook",
    "Evaluated",
    "Finding",
    "Findings",
    "Metric",
    "Rule",
    "Severity",
    "View",
    "look",
]
