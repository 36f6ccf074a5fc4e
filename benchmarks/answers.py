"""How well and how fast answers are judged: ours beside math-verify, on labelled pairs.

    python benchmarks/answers.py PAIRS.jsonl [--solutions SOLUTIONS.jsonl[.gz]] [--limit N] [--quiet]

PAIRS has rows {"reference", "prediction", "correct"}; predictions may be whole sentences, so both sides go through
extraction, with its fallback where they are prose. SOLUTIONS has rows with a reference and one or several labelled
responses (the layouts of ToRA's outputs, `trajectory` + `is_correct`, and of sampled solutions, `code` + `score`).
Precision and recall are those of the verdict "correct" against the label.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mathwright.answers import check_answer, extract_answer

Case = tuple[str, str, bool]
"""Prediction, reference, label."""


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def read_pairs(path: Path) -> list[Case]:
    return [(row["prediction"], row["reference"], row["correct"]) for row in read_rows(path)]


def read_solutions(path: Path) -> list[Case]:
    cases: list[Case] = []
    for row in read_rows(path):
        reference = str(row["gt"])
        if "trajectory" in row:
            cases.append((row["trajectory"], reference, bool(row["is_correct"])))
        elif "code" in row:
            cases += [(code, reference, bool(label)) for code, label in zip(row["code"], row["score"], strict=True)]
        else:
            raise SystemExit(f"{path}: rows have neither `trajectory` nor `code`")
    return cases


def ours(prediction: str, reference: str) -> str:
    return check_answer(answer_of(prediction), answer_of(reference)).status


def answer_of(text: str) -> str:
    """The answer in what may be an answer, a sentence or a whole response."""
    outside = re.sub(r"\$[^$]*\$|\\\[.*?\\\]|\\\(.*?\\\)", "", text, flags=re.DOTALL)
    words = re.findall(r"(?<!\\)\b(?!and\b)[a-zA-Z]{3,}\b", outside)
    prose = len(words) > 4 or (bool(words) and outside != text)
    return extract_answer(text, fallback=prose) or text


def math_verify(prediction: str, reference: str) -> str:
    from math_verify import parse, verify

    gold = reference if "$" in reference or "\\boxed" in reference or len(reference) > 200 else f"${reference}$"
    return "correct" if verify(parse(gold), parse(prediction)) else "incorrect"


def measure(name: str, judge: Callable[[str, str], str], cases: list[Case]) -> list[str]:
    statuses, times = [], []
    for prediction, reference, _ in cases:
        start = time.perf_counter()
        statuses.append(judge(prediction, reference))
        times.append(time.perf_counter() - start)
    accepted = [status == "correct" for status in statuses]
    labels = [label for _, _, label in cases]
    hits = sum(a and b for a, b in zip(accepted, labels, strict=True))
    accuracy = sum(a == b for a, b in zip(accepted, labels, strict=True)) / len(cases)
    ordered = sorted(times)
    print(
        f"{name:12} accuracy {accuracy:6.1%}  precision {hits / max(1, sum(accepted)):6.1%}"
        f"  recall {hits / max(1, sum(labels)):6.1%}  {len(cases) / sum(times):8.0f} pairs/s"
        f"  median {ordered[len(ordered) // 2] * 1e3:.2f} ms  p99 {ordered[int(len(ordered) * 0.99)] * 1e3:.1f} ms"
    )
    return statuses


def compare(title: str, cases: list[Case], *, quiet: bool) -> None:
    print(f"\n{title}: {len(cases)} pairs, {sum(label for _, _, label in cases)} labelled correct")
    check_answer(r"\sqrt{8}", r"2\sqrt{2}")  # starts a worker; both sides are measured warm
    math_verify("$1$", "$1$")
    by_us = measure("mathwright", ours, cases)
    by_them = measure("math-verify", math_verify, cases)
    if quiet:
        return
    print("\nWhere ours and the label disagree (ours, math-verify, label | reference | prediction):")
    for (prediction, reference, label), our, their in zip(cases, by_us, by_them, strict=True):
        if (our == "correct") != label:
            shown = [" ".join(text.split())[-110:] for text in (reference, prediction)]
            print(f"  {our:22} {their:10} {'correct' if label else 'incorrect':10}| {shown[0]} | {shown[1]}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("pairs", type=Path)
    arguments.add_argument("--solutions", type=Path, action="append", default=[])
    arguments.add_argument("--limit", type=int, default=None)
    arguments.add_argument("--quiet", action="store_true", help="no list of disagreements")
    options = arguments.parse_args()
    print(f"{datetime.date.today()}  {platform.machine()}  {os.cpu_count()} cores  Python {platform.python_version()}")
    compare(options.pairs.name, read_pairs(options.pairs)[: options.limit], quiet=options.quiet)
    for path in options.solutions:
        compare(path.name, read_solutions(path)[: options.limit], quiet=options.quiet)


if __name__ == "__main__":
    main()
