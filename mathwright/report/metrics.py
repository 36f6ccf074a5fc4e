"""What every measurement of a run is, for people. The table is metrics.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Metric:
    """How a measurement is shown. A healthy range is given where there is one for every run."""

    title: str
    unit: str = ""
    about: str = ""
    low: float | None = None
    """Below this it is worth a look."""
    high: float | None = None
    """Above this it is worth a look."""

    @property
    def healthy(self) -> str:
        """The healthy range in words; "" where it depends on the run."""
        low, high = self.low, self.high
        if low is not None and high is not None:
            return f"{_limit(low, self.unit)} to {_limit(high, self.unit)}"
        if high is not None:
            return f"below {_limit(high, self.unit)}"
        return f"above {_limit(low, self.unit)}" if low is not None else ""

    def is_healthy(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


SHARE = "share"
"""The unit of what is shown in percent."""


def _limit(value: float, unit: str) -> str:
    return f"{value:.0%}" if unit == SHARE else f"{value:g}"


METRICS: dict[str, Metric] = {
    name: Metric(**described)
    for name, described in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).items()
}
"""By name in metrics.jsonl."""


def metric(name: str) -> Metric:
    """The metric of that name; one that nobody has described is shown by its name."""
    known = METRICS.get(name)
    if known is not None:
        return known
    return Metric(name.replace("_", " ").capitalize())
