"""One model on published benchmarks, from the command line: engine, samples, table, page."""

from __future__ import annotations

import os
from pathlib import Path

from mathwright.engines.choose import EngineOptions, open_engine, with_dtype
from mathwright.engines.names import model_name
from mathwright.eval.annotate import with_contamination, with_scores
from mathwright.eval.measure import against, measure
from mathwright.eval.proofs import with_proofs
from mathwright.eval.settings import Settings, Shard
from mathwright.eval.table import markdown
from mathwright.records import EvalRecord
from mathwright.terminal import console, put


def evaluate(
    settings: Settings,
    engine: EngineOptions,
    *,
    out: Path | None = None,
    shard: Shard | None = None,
    reward_model: str | None = None,
    contamination: Path | None = None,
    other: Path | None = None,
    proof_checker: str = "",
) -> Path | None:
    """Measure, write the table and the page of samples; prints the table. Returns the page, None if not complete.

    Raises MathwrightError for everything a person can mend.
    """
    from mathwright.report.samples import write_samples_page

    engine = with_dtype(engine)
    folder = out or Path("runs") / "eval" / model_name(settings.model)
    if contamination is not None:
        with_contamination([], contamination)  # a missing file is said now, not after hours
    if proof_checker:
        with_proofs([], proof_checker)

    def annotate(records: list[EvalRecord]) -> list[EvalRecord]:
        if reward_model is not None:
            records = with_scores(records, reward_model, dtype=engine.dtype, device=engine.device)
        if proof_checker:
            records = with_proofs(records, proof_checker)
        return with_contamination(records, contamination) if contamination is not None else records

    outcome = measure(
        settings,
        folder,
        lambda: open_engine(settings.model, engine),
        engine_name=engine.name,
        dtype="" if engine.name == "server" else engine.dtype,
        shard=shard or shard_of_environment(),
        annotate=annotate,
    )
    if not outcome.complete:
        return None
    put(markdown(outcome.rows))
    if other is not None:
        for row in against(folder, other):
            console.print(describe_comparison(row), soft_wrap=True)
    return write_samples_page(folder)


def shard_of_environment() -> Shard:
    """The part of a process that torchrun, or a launcher that sets the same variables, started; else all."""
    rank, world = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    return Shard(index=int(rank), count=int(world)) if rank is not None and world is not None else Shard()


def describe_comparison(row: dict[str, object]) -> str:
    """A comparison as one line."""
    low, high = row["interval"]  # type: ignore[misc]
    return (
        f"{row['task']}, {row['mode']}: {row['difference']:+.1%} (95% {low:+.1%} to {high:+.1%}, "
        f"McNemar p = {row['p_value']:.3g}) on {row['num_problems']} problems"
    )
