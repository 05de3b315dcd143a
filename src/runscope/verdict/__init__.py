"""Findings and evaluated checkpoints become one calibrated answer and one recommendation."""

from runscope.verdict.judge import diagnose, judge
from runscope.verdict.types import Diagnosis, Gradients, Overfitting, Verdict

__all__ = ["Diagnosis", "Gradients", "Overfitting", "Verdict", "diagnose", "judge"]
