"""What an annotation would cost, from some problems of it that are really asked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from random import Random
from typing import Any

from mathwright.sft.annotate.diversity import choose
from mathwright.sft.annotate.run import Annotation
from mathwright.sft.annotate.settings import FORECAST_PROBLEMS, request_key
from mathwright.tools.sandbox import Sandbox


def forecast(annotation: Annotation, sandbox: Sandbox) -> dict[str, Any]:
    """Ask some problems, and say what all would cost, with 95% intervals. The replies are kept, and not asked again.

    The problems are the first twenty in an order drawn by the seed.
    """
    count = min(FORECAST_PROBLEMS, len(annotation.asked))
    chosen = Random(annotation.settings.seed).sample(annotation.asked, count)
    measured: list[dict[str, float]] = []
    begun, log = time.monotonic(), annotation.requests
    before = log.num_new
    annotation.draw(sandbox, chosen)
    seconds = time.monotonic() - begun
    is_new = log.num_new > before
    for one in chosen:
        keys = [request_key(one.problem.id, sample) for sample in range(one.num_asked)]
        measured.append({**log.spent(keys), "kept": float(len(choose(one.right, annotation.settings.keep)[0]))})
    total = len(annotation.asked)
    found: dict[str, Any] = {"asked": count, "problems": total}
    for name in measured[0]:
        values = [row[name] for row in measured]
        mean = sum(values) / count
        spread = (sum((v - mean) ** 2 for v in values) / max(1, count - 1)) ** 0.5
        half = 1.96 * spread / count**0.5 if count < total else 0.0
        found[name] = {"all": mean * total, "low": max(0.0, mean - half) * total, "high": (mean + half) * total}
    found["hours"] = seconds / count * total / 3600 if is_new else None
    return found


def forecast_text(found: Mapping[str, Any]) -> str:
    """A forecast as lines for a person."""
    lines = [f"forecast for {found['problems']:,} problems, from {found['asked']} that were asked (95% interval):"]
    for name, label, digits in (
        ("requests", "requests", 0), ("prompt", "prompt tokens", 0), ("written", "written tokens", 0),
        ("cost", "cost", 4),
        ("kept", "solutions kept", 0),
    ):  # fmt: skip
        row = found[name]
        lines.append(f"{label}\t{row['all']:,.{digits}f}\t({row['low']:,.{digits}f} to {row['high']:,.{digits}f})")
    if found["hours"] is not None:
        lines.append(f"hours\t{found['hours']:.2f}")
    return "\n".join(lines)
