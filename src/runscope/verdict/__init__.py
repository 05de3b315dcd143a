"""Findings and evaluated checkpoints become one calibrated answer and one recommendation."""

from runscope.verdict.comparison import Comparison, Contender, compare
from runscope.verdict.judge import diagnose, findings_of, findings_of_resumes, judge
from runscope.verdict.types import Diagnosis, Gradients, Overfitting, Verdict

__all__ = [
    "Comparison",
    "Contender",
    "Diagnosis",
    "Gradients",
    "Overfitting",
    "Verdict",
    "compare",
    "diagnose",
    "findings_of",
    "findings_of_resumes",
    "judge",
]
