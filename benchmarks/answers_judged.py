"""Verdicts on real model answers to MATH and GSM8K, to be compared between two versions of the checker.

    python benchmarks/answers_judged.py --solutions ../shared/data/solutions --out after.jsonl
    PYTHONPATH=OLDER_CHECKOUT python benchmarks/answers_judged.py ... --out before.jsonl
    python benchmarks/answers_judged.py --diff before.jsonl after.jsonl

Judges a seeded draw of responses, half to either benchmark and by every model alike (--draw in all, 0 for every one),
from the answer's place in the response to the comparison, and prints how the verdicts agree with the labels
that their authors recorded. --diff prints every response whose verdict changed, with the end of the response, for a
person to look at, and counts the answers that are only written otherwise.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from answers import read_rows, read_solutions

import mathwright
from mathwright.answers import check_answer, extract_answer

Response = tuple[str, str, str, bool]
"""Benchmark and model, response, reference, label."""
FILES = (
    "math_cot_100_samples_rm.jsonl.gz",
    "tora_outputs_gsm8k_test.jsonl.gz",
    "mathcoder_tir_test.jsonl.gz",
    "gsm8k_example_model_solutions.jsonl",
)


def read_responses(folder: Path) -> Iterator[Response]:
    """Every response to MATH or GSM8K; the model of a published example is its place among the row's solutions."""
    for name in FILES:
        rows = list(read_rows(folder / name))
        cases = iter(read_solutions(folder / name))
        for row in rows:
            num_cases = len(row["code"]) if "score" in row else 4 if "ground_truth" in row else 1
            benchmark = str(row.get("dataset", "gsm8k" if "ground_truth" in row else "math")).lower()
            for index, (response, reference, label) in enumerate(itertools.islice(cases, num_cases)):
                if benchmark in ("math", "gsm8k"):
                    model = row.get("model", f"{name.split('_')[0]} {index}" if "ground_truth" in row else "samples")
                    yield f"{benchmark} {model}", response, reference, label


def draw(responses: list[Response], number: int, seed: int) -> list[Response]:
    if not number:
        return responses
    generator = random.Random(seed)
    groups: dict[str, dict[str, list[Response]]] = defaultdict(lambda: defaultdict(list))
    for response in responses:
        groups[response[0].split()[0]][response[0]].append(response)
    drawn: list[Response] = []
    for _, by_model in sorted(groups.items()):
        shuffled = [generator.sample(group, len(group)) for _, group in sorted(by_model.items())]
        in_turn = itertools.chain.from_iterable(itertools.zip_longest(*shuffled))
        drawn += itertools.islice((r for r in in_turn if r is not None), number // len(groups))
    return drawn


def judge(responses: list[Response], out: Path) -> None:
    counts: Counter[tuple[str, bool, bool]] = Counter()
    with out.open("w", encoding="utf-8") as file:
        for source, response, reference, label in responses:
            answer = extract_answer(response)
            status = check_answer(answer, reference).status if answer is not None else "no answer"
            row = {"source": source, "reference": reference, "label": label, "answer": answer, "status": status}
            file.write(json.dumps({**row, "end": response[-300:]}, ensure_ascii=False) + "\n")
            counts[source.split()[0], status == "correct", label] += 1
    for benchmark in ("math", "gsm8k"):
        found = {(mine, label): counts[benchmark, mine, label] for mine in (True, False) for label in (True, False)}
        accuracy = (found[True, True] + found[False, False]) / max(1, sum(found.values()))
        print(
            f"{benchmark:6} {sum(found.values()):6} responses  agreement {accuracy:.2%}"
            f"  accepted against the label {found[True, False]}  refused against it {found[False, True]}"
        )
    print(f"{out}: judged by {Path(mathwright.__file__).parent}", file=sys.stderr)


def show_changes(before: Path, after: Path) -> None:
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = list(zip(read_rows(before), read_rows(after), strict=True))
    changed = [(old, new) for old, new in pairs if (old["status"] == "correct") != (new["status"] == "correct")]
    for old, new in changed:
        print(
            f"{old['status']} -> {new['status']}, label {'correct' if old['label'] else 'incorrect'}: {old['source']}"
        )
        print(f"    reference {old['reference']!r}  answers {old['answer']!r} -> {new['answer']!r}")
        print(f"    ...{' '.join(old['end'].split())[-200:]}")
    otherwise = sum(old["answer"] != new["answer"] for old, new in pairs)
    print(f"{len(pairs)} responses, {len(changed)} verdicts changed, {otherwise} answers are cut out otherwise")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--solutions", type=Path, help="folder with the published solutions")
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--draw", type=int, default=500)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--diff", type=Path, nargs=2, metavar=("BEFORE", "AFTER"))
    options = arguments.parse_args()
    if options.diff:
        show_changes(*options.diff)
    elif options.solutions and options.out:
        judge(draw(list(read_responses(options.solutions)), options.draw, options.seed), options.out)
    else:
        arguments.error("give --solutions and --out, or --diff")


if __name__ == "__main__":
    main()
