"""Views show it to a person: progress in the terminal, figures, and the report of a run.

Whatever a generator said is untrusted text, and all of it passes ``plain`` before it is shown.
"""

from hunch.views.progress import Progress, plain
from hunch.views.report import (
    ArmSummary,
    DiscoveryRow,
    InsightRow,
    MapPoints,
    RejectedRow,
    Report,
    map_points,
    write_report,
)

__all__ = [
    "ArmSummary",
    "DiscoveryRow",
    "InsightRow",
    "MapPoints",
    "Progress",
    "RejectedRow",
    "Report",
    "map_points",
    "plain",
    "write_report",
]
