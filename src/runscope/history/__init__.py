"""What a run is: metrics as logged points, their roles, and the axes they lie on."""

from runscope.history.run import ROLES, Histograms, Lineage, Run, State
from runscope.history.series import Series, concat
from runscope.history.timeline import Alternative, Gap, Method, Segment, Timeline

__all__ = [
    "ROLES",
    "Alternative",
    "Gap",
    "Histograms",
    "Lineage",
    "Method",
    "Run",
    "Segment",
    "Series",
    "State",
    "Timeline",
    "concat",
]
