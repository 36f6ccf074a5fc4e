"""`mathwright sft build`: folders of solutions become one data set, in chosen shares, that others can read too.

problems.jsonl, solutions.jsonl   a folder for `sft.solutions`
dataset.jsonl, .parquet           a row an example: question, messages, response, answer, source, format, tokens
statistics.json                   solutions, tokens and lengths by source and format; what was left out
samples.md                        random examples to read
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mathwright.errors import MathwrightError
from mathwright.files import atomic, write_json, write_lines, write_text
from mathwright.lines import json_text
from mathwright.problems.formats import response_text
from mathwright.problems.prompts import asked_mode, build_prompt
from mathwright.records import Problem, Solution, write_jsonl
from mathwright.run import Stage, fingerprint
from mathwright.sft.annotate.diversity import minhash
from mathwright.sft.conversion.check import HARD_CODED, is_hard_coded
from mathwright.sft.folder import PROBLEMS, SOLUTIONS, gather

PERCENTILES = (0, 10, 50, 90, 99, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What the data set is made of."""

    formats: Mapping[str, float] | None = None
    """Share of each format; None: all there are."""
    sources: Mapping[str, float] | None = None
    """Share of each source within each format; None: all there are."""
    num_examples: int = 0
    """Examples in all; 0: as many as the shares allow."""
    min_tokens: int = 0
    """Of prompt and response."""
    max_tokens: int = 0
    """0: no limit."""
    near_duplicate: float = 0.9
    """Solutions of a problem in one format that share more than this of their runs of three words; 1: none."""
    export: tuple[Literal["jsonl", "parquet"], ...] = ("jsonl",)
    num_samples: int = 20
    """Examples on the page to read."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, shares in (("formats", self.formats), ("sources", self.sources)):
            if shares is not None and (not shares or min(shares.values()) <= 0):
                raise MathwrightError(f"--{name}: a share is not above 0", hint="leave out what is not wanted")


@dataclass(frozen=True, slots=True)
class Example:
    """A solution of a problem, as it would be trained on."""

    problem: Problem
    solution: Solution
    prompt: str
    response: str
    num_tokens: int


def build(
    folders: Sequence[Path], out: Path, *, options: BuildOptions, count_tokens: Callable[[str], int]
) -> dict[str, Any]:
    """Write a data set out of folders; returns its statistics. `count_tokens` says how long a text is.

    Raises MathwrightError for an output folder that is not empty, folders that are none, or where nothing is left.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MathwrightError(f"{out} is not empty", hint="choose another --out")
    found = gather(folders)
    out.mkdir(parents=True, exist_ok=True)
    stage = Stage("build", out, fingerprint("sft build", [str(folder) for folder in folders]))
    dropped = Counter({name: n for name, n in found.dropped.items() if "solution" in name})
    num_in = len(found.solutions) + dropped.total()
    examples = list(_examples(found.problems, found.solutions, options, count_tokens, dropped))
    examples = _distinct(examples, options.near_duplicate, dropped)
    chosen = _balanced(examples, options, dropped) if examples else []
    stage.funnel("examples", unit="solutions", num_in=num_in, num_out=len(chosen), dropped=dropped)
    if not chosen:
        raise MathwrightError("no example is left", hint="look at the counts above: --formats, --sources, --max-tokens")
    statistics = {"folders": [str(folder) for folder in folders], "dropped": dict(+dropped), **describe(chosen)}
    asked = {example.problem.id: example.problem for example in chosen}
    write_jsonl(out / PROBLEMS, asked.values())
    write_jsonl(out / SOLUTIONS, (example.solution for example in chosen))
    rows = [_row(example) for example in chosen]
    outputs = {"problems": out / PROBLEMS, "solutions": out / SOLUTIONS}
    if "jsonl" in options.export:
        outputs["jsonl"] = out / "dataset.jsonl"
        write_lines(outputs["jsonl"], map(json_text, rows))
    if "parquet" in options.export:
        outputs["parquet"] = out / "dataset.parquet"
        _write_parquet(outputs["parquet"], rows)
    write_json(out / "statistics.json", statistics)
    write_text(out / "samples.md", samples_page(chosen, options.num_samples, options.seed))
    stage.finish(outputs=outputs, summary=statistics)
    return statistics


def _examples(
    problems: Iterable[Problem],
    solutions: Iterable[Solution],
    options: BuildOptions,
    count_tokens: Callable[[str], int],
    dropped: Counter[str],
) -> Iterable[Example]:
    by_id = {problem.id: problem for problem in problems}
    for solution in solutions:
        problem = by_id[solution.problem_id]
        if options.formats is not None and solution.format not in options.formats:
            dropped["other format"] += 1
        elif options.sources is not None and problem.source not in options.sources:
            dropped["other source"] += 1
        elif asked_mode(problem, solution.format) != solution.format:
            dropped["words where a program is asked for"] += 1
        elif is_hard_coded(solution.parts, solution.answer):
            dropped[HARD_CODED] += 1
        else:
            prompt = build_prompt(problem, solution.format, template="deepseekmath", tokenizer=None)
            response = response_text(solution, "tokenizer")
            num_tokens = count_tokens(prompt.text) + count_tokens(response)
            if num_tokens < options.min_tokens:
                dropped["too short"] += 1
            elif options.max_tokens and num_tokens > options.max_tokens:
                dropped["too long"] += 1
            else:
                asked = (prompt.messages or ({"content": prompt.text},))[-1]["content"]
                yield Example(problem, solution, asked, response, num_tokens)


def _distinct(examples: Sequence[Example], threshold: float, dropped: Counter[str]) -> list[Example]:
    """The examples without those that are nearly another one of the same problem and format; the first stays."""
    kept: list[Example] = []
    seen: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for example in examples:
        hashes = minhash(example.response)
        others = seen[example.problem.id, example.solution.format]
        if any(float((hashes == other).mean()) > threshold for other in others):
            dropped["near duplicate of a solution"] += 1
        else:
            others.append(hashes)
            kept.append(example)
    return kept


# --- shares ---------------------------------------------------------------------------------------


def _balanced(examples: Sequence[Example], options: BuildOptions, dropped: Counter[str]) -> list[Example]:
    """Examples in the wanted shares, in an order of the seed; of each problem one before any has two."""
    rng = random.Random(options.seed)
    pools: dict[str, dict[str, list[Example]]] = defaultdict(lambda: defaultdict(list))
    for example in _spread(examples, rng):
        pools[example.solution.format][example.problem.source].append(example)
    available = {name: sum(map(len, pool.values())) for name, pool in pools.items()}
    formats = options.formats or {name: float(count) for name, count in available.items()}
    missing = [name for name in formats if not available.get(name)]
    if missing:
        raise MathwrightError(f"there is no solution in format {missing[0]}", hint="leave it out of --formats")
    within = {name: _source_shares(pools[name], options.sources) for name in formats}
    total = sum(formats.values())
    size = {name: min(len(pools[name][s]) / share for s, share in within[name].items()) for name in formats}
    most = int(min(size[name] * total / share for name, share in formats.items()) + 1e-9)
    if options.num_examples and options.num_examples > most:
        raise MathwrightError(
            f"the shares allow {most:,} examples, not {options.num_examples:,}", hint="--num-examples, or other shares"
        )
    wanted = options.num_examples or most
    chosen: list[Example] = []
    for name, share in formats.items():
        for source, part in within[name].items():
            chosen += pools[name][source][: round(wanted * share / total * part)]
    rng.shuffle(chosen)
    dropped["over its share"] += len(examples) - len(chosen)
    return chosen


def _source_shares(pool: Mapping[str, Sequence[Example]], shares: Mapping[str, float] | None) -> dict[str, float]:
    """The share of each source that has solutions in a format; they add up to 1."""
    given = {s: float(len(found)) for s, found in pool.items()} if shares is None else shares
    inside = {source: share for source, share in given.items() if pool.get(source)}
    total = sum(inside.values())
    return {source: share / total for source, share in inside.items()}


def _spread(examples: Sequence[Example], rng: random.Random) -> list[Example]:
    """In random order, the first solutions of all problems before the second ones of any."""
    order = list(examples)
    rng.shuffle(order)
    counts: Counter[tuple[str, str]] = Counter()
    turns: list[tuple[int, Example]] = []
    for example in order:
        key = (example.problem.id, example.solution.format)
        turns.append((counts[key], example))
        counts[key] += 1
    return [example for _, example in sorted(turns, key=lambda turn: turn[0])]


# --- what is written ------------------------------------------------------------------------------


def describe(examples: Sequence[Example]) -> dict[str, Any]:
    """Counts, shares and lengths in tokens, of all examples and by source and format."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for example in examples:
        groups[example.problem.source, example.solution.format].append(example.num_tokens)
    everything = [example.num_tokens for example in examples]
    tokens = sum(everything)
    rows = [
        {
            "source": source,
            "format": format_,
            "examples": len(lengths),
            "share": len(lengths) / len(examples),
            "token_share": sum(lengths) / tokens,
            **_lengths(lengths),
        }
        for (source, format_), lengths in sorted(groups.items())
    ]
    problems = len({example.problem.id for example in examples})
    return {"examples": len(examples), "problems": problems, **_lengths(everything), "groups": rows}


def _lengths(lengths: Sequence[int]) -> dict[str, Any]:
    order = sorted(lengths)
    percentiles = {f"p{p}": order[min(len(order) - 1, p * len(order) // 100)] for p in PERCENTILES}
    return {"tokens": sum(order), "mean_tokens": round(sum(order) / len(order), 1), **percentiles}


def _row(example: Example) -> dict[str, Any]:
    problem, solution = example.problem, example.solution
    return {
        "id": problem.id,
        "source": problem.source,
        "format": solution.format,
        "language": problem.language,
        "question": problem.question,
        "answer": problem.answer,
        "messages": [
            {"role": "user", "content": example.prompt},
            {"role": "assistant", "content": example.response},
        ],
        "num_tokens": example.num_tokens,
    }


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MathwrightError(
            "Parquet needs the package pyarrow", hint="pip install 'mathwright[corpus]', or --export jsonl"
        ) from error
    with atomic(path) as partial:
        parquet.write_table(pa.Table.from_pylist(list(rows)), partial)


def samples_page(examples: Sequence[Example], count: int, seed: int) -> str:
    """Random examples as Markdown, to be read by a person."""
    chosen = random.Random(f"samples:{seed}").sample(list(examples), min(count, len(examples)))
    pages = [
        f"## {example.problem.id} ({example.solution.format}, {example.num_tokens:,} tokens)\n\n"
        f"{_quoted(example.prompt)}\n\n{_quoted(example.response)}\n\nAnswer: {example.problem.answer}\n"
        for example in chosen
    ]
    return "\n".join([f"# {len(chosen)} of {len(examples):,} examples\n", *pages])


def _quoted(text: str) -> str:
    """A text as it is, whatever fences it has."""
    return f"~~~~~~\n{text.rstrip()}\n~~~~~~"
