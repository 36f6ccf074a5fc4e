"""`mathwright eval MODEL --tasks ...`: one model on published benchmarks (§2.3, §3.2, Figure 7)."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from mathwright.engines.engine import Engine
from mathwright.engines.names import model_name
from mathwright.errors import MathwrightError
from mathwright.eval.collect import GREEDY, Work, collect, greedy, sample_seed
from mathwright.eval.progress import running_accuracy
from mathwright.eval.settings import Settings, Shard, fixed, sampling_of
from mathwright.eval.store import Key, Store, key_of
from mathwright.eval.table import compare_records, markdown, tabulate
from mathwright.eval.tasks import Task, find_task, shots_of, tolerance_of
from mathwright.problems.benchmarks import LoadedBenchmark, load_benchmark
from mathwright.problems.prompts import asked_mode, build_prompt
from mathwright.problems.templates import usual_template
from mathwright.records import EvalRecord, Problem, SolutionFormat, read_jsonl, write_jsonl
from mathwright.run import write_json
from mathwright.terminal import console


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an evaluation gave."""

    complete: bool
    """False where other processes are not done yet: there is no table then."""
    rows: list[dict[str, Any]]
    records: list[EvalRecord]


ALL = Shard()


def measure(
    settings: Settings,
    out: Path,
    open_engine: Callable[[], Engine],
    *,
    engine_name: str = "local",
    dtype: str = "float32",
    shard: Shard = ALL,
    name: str | None = None,
    annotate: Callable[[list[EvalRecord]], list[EvalRecord]] = list,
) -> Outcome:
    """Draw and judge all samples that are not in `out` yet, then write the table once all processes are done.

    `open_engine()` returns an `Engine`; it is called only if there is something to draw. `annotate` adds to the
    finished records what is known of them from elsewhere (scores, contamination).

    Raises MathwrightError for unknown tasks, missing files, or a folder that was made with other settings.
    """
    tasks = [find_task(task) for task in settings.tasks]  # all names are checked before anything is read
    loaded = {task.name: _load(task, settings) for task in tasks}
    store = Store(out, shard=shard.index, num_shards=shard.count)
    kept_with = fixed(settings, engine_name, dtype)
    store.check(kept_with)
    for task in tasks:
        _check_prompts(task, loaded[task.name], settings)
    with store.claimed():
        return _measure(settings, store, tasks, loaded, open_engine, kept_with, shard, name, annotate)


def _measure(
    settings: Settings,
    store: Store,
    tasks: Sequence[Task],
    loaded: Mapping[str, LoadedBenchmark],
    open_engine: Callable[[], Engine],
    kept_with: Mapping[str, Any],
    shard: Shard,
    name: str | None,
    annotate: Callable[[list[EvalRecord]], list[EvalRecord]],
) -> Outcome:
    """What `measure` does once its input is known to be right. The settings are kept when the engine is open: a model
    that cannot be loaded leaves nothing that would refuse the corrected call."""
    store.mend()
    planned = [key for task in tasks for key in _keys(task, loaded[task.name], settings)]
    done = store.done()
    missing = [key for key in planned if key not in done]
    mine = {key for key in missing if _number(key.task, key.problem_id) % shard.count == shard.index}
    console.print(
        f"{len(planned):,} samples: {len(planned) - len(missing):,} kept from before, {len(mine):,} to draw"
        + (f" by process {shard.index} of {shard.count}" if shard.count > 1 else "")
    )
    if mine:
        engine: Engine = open_engine()
        try:
            store.open(kept_with)
            work = [w for task in tasks for w in _work(task, loaded[task.name], settings, engine, mine)]
            with running_accuracy(len(work)) as add:
                collect(
                    work,
                    engine,
                    store,
                    model=name or model_name(settings.model),
                    max_tool_rounds=settings.max_tool_rounds,
                    on_record=add,
                )
        finally:
            engine.close()
    return _finish(store, planned, settings, annotate)


# --- what there is to do --------------------------------------------------------------------------


def _load(task: Task, settings: Settings) -> LoadedBenchmark:
    loaded = load_benchmark(task.source or task.name, settings.data, fields=settings.fields)
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in loaded.dropped.items() if count)
    problems = loaded.problems
    if settings.limit is not None and settings.limit < len(problems):
        chosen = random.Random(f"{settings.seed}:{task.name}").sample(range(len(problems)), len(problems))
        problems = tuple(problems[i] for i in sorted(chosen[: settings.limit]))
    told = (
        f"  {len(problems):,} of {len(loaded.problems):,} problems of {loaded.where}"
        + (f" (dropped: {dropped})" if dropped else "")
        + (f" ({loaded.repeated:,} repeat an earlier question)" if loaded.repeated else "")
    )
    console.print(Text.assemble((task.name, "bold cyan"), told), soft_wrap=True)
    size, found = loaded.benchmark.size, len(loaded.problems) + sum(loaded.dropped.values())
    if size is not None and found != size:
        warning = f"{task.name} has {size:,} problems as published, {found:,} here: no published figure compares"
        console.print(Text(warning, "yellow"))
    if not problems:
        raise MathwrightError(f"{task.name}: no problem in {loaded.where}", hint="check the file")
    return dataclasses.replace(loaded, problems=problems)


def _by_mode(loaded: LoadedBenchmark, settings: Settings) -> dict[SolutionFormat, list[Problem]]:
    """The problems asked in each mode: all in each of the settings, but those with tests as programs alone."""
    found: dict[SolutionFormat, dict[str, Problem]] = {}
    for mode in settings.modes:
        for problem in loaded.problems:
            found.setdefault(asked_mode(problem, mode), {})[problem.id] = problem
    return {mode: list(problems.values()) for mode, problems in found.items()}


def _samples(settings: Settings) -> list[int]:
    return [*([GREEDY] if settings.greedy else []), *range(settings.samples)]


def _keys(task: Task, loaded: LoadedBenchmark, settings: Settings) -> list[Key]:
    return [
        Key(task.name, mode, problem.id, sample)
        for mode, problems in _by_mode(loaded, settings).items()
        for problem in problems
        for sample in _samples(settings)
    ]


def _number(task: str, problem_id: str) -> int:
    """A number of a problem, for seeds and shards, that does not depend on which others are measured."""
    return int.from_bytes(hashlib.sha256(f"{task}:{problem_id}".encode()).digest()[:4], "big")


def _work(task: Task, loaded: LoadedBenchmark, settings: Settings, engine: Engine, wanted: set[Key]) -> Iterator[Work]:
    for mode, problems in _by_mode(loaded, settings).items():
        shots, template = _layout(task, mode, settings, engine.tokenizer)
        for problem in problems:
            samples = [s for s in _samples(settings) if Key(task.name, mode, problem.id, s) in wanted]
            if not samples:
                continue
            prompt = build_prompt(
                problem, mode, template=template, shots=shots, exemplars=task.exemplars, tokenizer=engine.tokenizer
            )
            number = _number(task.name, problem.id)
            for sample in samples:
                yield Work(
                    task=task.name,
                    prompt=prompt,
                    sample=sample,
                    seed=sample_seed(settings.seed, number, sample),
                    sampling=greedy(settings.max_new_tokens) if sample == GREEDY else sampling_of(settings),
                    rel_tolerance=tolerance_of(task, problem),
                )


def _layout(task: Task, mode: SolutionFormat, settings: Settings, tokenizer: Any) -> tuple[int, str]:
    """Exemplars and template of a prompt."""
    shots = shots_of(task, mode, None if settings.shots == "paper" else settings.shots)
    if settings.template != "auto":
        return shots, settings.template
    if settings.system or settings.enable_thinking is not None:
        return shots, "tokenizer"
    # a base model completes a function that it is shown no exemplar for (HumanEval)
    plain = shots > 0 or settings.shots == "paper"
    return shots, "plain" if plain else usual_template(settings.model, tokenizer)


def _check_prompts(task: Task, loaded: LoadedBenchmark, settings: Settings) -> None:
    """Raise MathwrightError for exemplars that are not there or do not go with the template; needs no model."""
    for mode, problems in _by_mode(loaded, settings).items():
        shots, template = _layout(task, mode, settings, None)
        build_prompt(problems[0], mode, template=template, shots=shots, exemplars=task.exemplars, tokenizer=None)


# --- the end --------------------------------------------------------------------------------------


def _finish(
    store: Store,
    planned: Sequence[Key],
    settings: Settings,
    annotate: Callable[[list[EvalRecord]], list[EvalRecord]],
) -> Outcome:
    """Merge what all processes kept and write the table, if nothing is missing."""
    order = {key: i for i, key in enumerate(planned)}
    pairs = {(key.task, key.mode) for key in planned}
    by_key: dict[Key, EvalRecord] = {}
    for record in store.records():
        key = key_of(record)
        # Of a task measured now, only what was asked for now; other tasks of the folder stay in its table.
        if key in order or (key.task, key.mode) not in pairs:
            by_key.setdefault(key, record)
    missing = sum(key not in by_key for key in planned)
    if missing:
        console.print(f"{missing:,} samples are still missing: the process that draws the last one writes the table")
        return Outcome(complete=False, rows=[], records=[])
    records = annotate(sorted(by_key.values(), key=lambda record: order.get(key_of(record), -1)))
    return Outcome(complete=True, rows=write_table(store.folder, records, settings.samples), records=records)


def write_table(folder: Path, records: Sequence[EvalRecord], num_samples: int) -> list[dict[str, Any]]:
    """Write records.jsonl, table.json and table.md; returns the rows."""
    rows = tabulate(records, num_samples, by_task=True)
    write_jsonl(folder / "records.jsonl", records)
    write_json(folder / "table.json", rows)
    (folder / "table.md").write_text(markdown(rows), encoding="utf-8")
    return rows


def against(folder: Path, other: Path) -> list[dict[str, Any]]:
    """The evaluation in `folder` compared with an earlier one on the same problems (McNemar); kept in comparison.json.

    Raises MathwrightError where either has no records.jsonl, or where they share no problem.
    """
    before, after = (list(read_jsonl(f / "records.jsonl", EvalRecord)) for f in (other, folder))
    rows = compare_records(before, after, str(other), str(folder))
    if not rows:
        raise MathwrightError(
            f"{folder} and {other} share no problem of a task and mode", hint="evaluate both with the same --tasks"
        )
    write_json(folder / "comparison.json", rows)
    return rows
