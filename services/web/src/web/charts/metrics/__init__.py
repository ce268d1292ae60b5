"""The metrics: a module each, which reads its series and makes a chart of them. `METRIC` of each is found here."""

from __future__ import annotations

from typing import Final

from web.charts.metric import Metric
from web.finding import declared

METRICS: Final = {
    metric.name: metric
    for metric in sorted(declared(__name__, __path__, "METRIC", Metric), key=lambda metric: metric.place)
}
"""Every metric by its name, in the order in which they are listed."""
