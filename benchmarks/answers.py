"""How well and how fast answers are judged: ours, math-verify and a common recipe, on labelled pairs.

    python benchmarks/answers.py PAIRS.jsonl [--solutions SOLUTIONS.jsonl[.gz]]... [--limit N] [--shown N]

PAIRS has rows {"reference", "prediction", "correct"}; predictions may be whole sentences, so both sides go through
extraction, with its fallback where they are prose. SOLUTIONS has rows with a reference and one or several labelled
responses (`read_solutions` knows ToRA's, MathCoder's, GSM8K's and program-of-thought's outputs and sampled solutions).
With --limit so many pairs, evenly spread over the file.
Precision and recall are those of the verdict "correct" against the label.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import math
import os
import platform
import re
import signal
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
    """Pairs of any of the layouts; SystemExit for another one."""
    cases: list[Case] = []
    for row in read_rows(path):
        if "trajectory" in row:  # ToRA
            cases.append((row["trajectory"], str(row["gt"]), bool(row["is_correct"])))
        elif "score" in row:  # sampled solutions
            labelled = zip(row["code"], row["score"], strict=True)
            cases += [(code, str(row["gt"]), bool(label)) for code, label in labelled]
        elif "steps" in row:  # MathCoder: text, code and execution alternate; the answer stands in the text
            text = "\n".join(step["content"] for step in row["steps"] if step["role"] == "text")
            cases.append((text, str(row["gt"]), bool(row["is_correct"])))
        elif "ground_truth" in row:  # the model solutions published with GSM8K
            reference = row["ground_truth"].rpartition("A:")[2].strip()
            solutions = [value for value in row.values() if isinstance(value, dict)]
            cases += [(each["solution"], reference, bool(each["is_correct"])) for each in solutions]
        elif "executed" in row and row.get("dataset") != "aqua":  # programs of thought: no label but its own rule
            cases += _by_value(row)
        elif row.get("dataset") not in ("aqua", "gsm8k", "svamp", "multiarith"):
            raise SystemExit(f"{path}: unknown layout, with the keys {', '.join(row)}")
    return cases


def _by_value(row: dict[str, Any]) -> list[Case]:
    """What a program returned, labelled as its authors score it: within a thousandth of the answer."""
    try:
        returned, answer = float(row["executed"]), float(row["answer"])
    except (TypeError, ValueError):
        return []
    return [(str(row["executed"]), str(row["answer"]), abs(returned - answer) < 1e-3)]


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


def normalise_and_isclose(prediction: str, reference: str) -> str:
    """A checker of the kind published with DeepSeekMath: strings tidied up, floats, then sympy on both.

    Written from its description: equal strings, or floats within a ten-thousandth, also after a factor of 100 either
    way, or parts of a tuple that are, or a difference that sympy simplifies to zero within two seconds.
    """
    left, right = _tidied(answer_of(prediction)), _tidied(answer_of(reference))
    return "correct" if _alike(left, right) else "incorrect"


def _tidied(text: str) -> str:
    text = re.sub(r"\\(?:left|right|,|!|;|:| )|\\text\{[^{}]*\}|\\mathrm\{[^{}]*\}|\^\{?\\circ\}?|\\?[%$]|\s", "", text)
    text = re.sub(r"\\[dt]frac", r"\\frac", text).rstrip(".")
    text = re.sub(r"\\frac(\d)(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"^[a-zA-Z]=", "", text)
    return re.sub(r"(?<=\d),(?=\d{3})", "", text)


def _as_float(text: str) -> float | None:
    if match := re.fullmatch(r"(-?)\\frac\{(-?\d+)\}\{(\d+)\}|(-?\d+)/(\d+)", text):
        sign, top, bottom, slash_top, slash_bottom = match.groups()
        divisor = int(bottom or slash_bottom)
        return (-1 if sign else 1) * int(top or slash_top) / divisor if divisor else None
    try:
        return float(text)
    except ValueError:
        return None


def _alike(left: str, right: str) -> bool:
    if left == right:
        return True
    numbers = _as_float(left), _as_float(right)
    if numbers[0] is not None and numbers[1] is not None:
        return any(math.isclose(numbers[0], numbers[1] * factor, rel_tol=1e-4) for factor in (0.01, 1, 100))
    bracketed = all(re.fullmatch(r"[(\[].+[)\]]", side) for side in (left, right))
    parts = left[1:-1].split(","), right[1:-1].split(",")
    if bracketed and len(parts[0]) == len(parts[1]) > 1:
        return all(_alike(*pair) for pair in zip(*parts, strict=True))
    return _equal_by_sympy(left, right)


def _equal_by_sympy(left: str, right: str) -> bool:
    import sympy
    from latex2sympy2_extended import latex2sympy

    def give_up(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 2)
    try:
        difference: Any = sympy.simplify(latex2sympy(left) - latex2sympy(right))  # type: ignore[operator]
        return bool(difference == 0)
    except Exception:  # parser and sympy raise anything on odd input; a checker of this kind then says no
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


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


CHECKERS: dict[str, Callable[[str, str], str]] = {
    "mathwright": ours,
    "math-verify": math_verify,
    "isclose+sympy": normalise_and_isclose,
}


def compare(title: str, cases: list[Case], *, shown: int) -> None:
    print(f"\n{title}: {len(cases)} pairs, {sum(label for _, _, label in cases)} labelled correct")
    check_answer(r"\sqrt{8}", r"2\sqrt{2}")  # starts a worker; all are measured warm
    for judge in CHECKERS.values():
        judge(r"\boxed{\sqrt{8}}", r"2\sqrt{2}")
    statuses = {name: measure(name, judge, cases) for name, judge in CHECKERS.items()}
    wrong = [i for i, case in enumerate(cases) if (statuses["mathwright"][i] == "correct") != case[2]]
    if not shown or not wrong:
        return
    print(f"Against the label: {len(wrong)}, {min(shown, len(wrong))} shown (verdicts | reference | prediction):")
    for index in wrong[:shown]:
        prediction, reference, label = cases[index]
        verdicts = "  ".join(f"{statuses[name][index]:22}" for name in CHECKERS)
        texts = [" ".join(text.split())[-110:] for text in (reference, prediction)]
        print(f"  {verdicts} label {'correct' if label else 'incorrect':10}| {texts[0]} | {texts[1]}")


def _spread(cases: list[Case], limit: int | None) -> list[Case]:
    return cases if limit is None else cases[:: max(1, -(-len(cases) // limit))]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("pairs", type=Path)
    arguments.add_argument("--solutions", type=Path, action="append", default=[])
    arguments.add_argument("--limit", type=int, default=None)
    arguments.add_argument("--shown", type=int, default=20, help="so many disagreements are listed; 0: none")
    options = arguments.parse_args()
    print(f"{datetime.date.today()}  {platform.machine()}  {os.cpu_count()} cores  Python {platform.python_version()}")
    compare(options.pairs.name, _spread(read_pairs(options.pairs), options.limit), shown=options.shown)
    for path in options.solutions:
        compare(path.name, _spread(read_solutions(path), options.limit), shown=options.shown)


if __name__ == "__main__":
    main()
