"""Questions of four to eight steps whose every step arithmetic decides, and a small model that answers some of them.

    python benchmarks/running_totals.py --out runs/totals     # model and problems, two minutes on one core

    Find 3 + 9 - 2 + 4 - 5.      3 + 9 = 12
                                 12 - 2 = 10
                                 10 + 4 = 14
                                 14 - 5 = 9
                                 The answer is \\boxed{9}.

The procedural questions of the package have one to four steps. These are for what grows with their number: the labels
of steps (step_labels.py) and the search for the first wrong one (process_labels.py). The model is the Llama of 0.9M
parameters of learning_curves.py, fine-tuned as there.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import torch

from mathwright.records import Part, Problem, Solution, write_jsonl
from mathwright.run import RunDirectory

sys.path.insert(0, str(Path(__file__).parent))
from learning_curves import SCRATCH, SFT, fine_tune

FEWEST, MOST = 4, 8
"""Steps before the answer."""
HIGHEST = 18
"""No running total is above it or below 0."""
NUM_SFT, NUM_ASKED = 3_000, 2_000


def worked(num: int, seed: int) -> list[tuple[Problem, Solution]]:
    """So many different questions with their solutions."""
    rng = random.Random(seed)
    made: dict[str, tuple[Problem, Solution]] = {}
    while len(made) < num:
        terms, lines, total = [str(rng.randint(0, 9))], [], 0
        total = int(terms[0])
        for _ in range(rng.randint(FEWEST, MOST)):
            number = rng.randint(1, 9)
            adds = total + number <= HIGHEST and (total < number or rng.random() < 0.5)
            after = total + number if adds else total - number
            sign = "+" if adds else "-"
            lines.append(f"{total} {sign} {number} = {after}")
            terms.append(f"{sign} {number}")
            total = after
        question = f"Find {' '.join(terms)}."
        name = f"running-total-{len(made)}"
        text = "\n".join([*lines, f"The answer is \\boxed{{{total}}}."])
        problem = Problem(id=name, question=question, answer=str(total), source="running_totals", split="train")
        solution = Solution(problem_id=name, format="cot", parts=(Part(kind="text", text=text),), answer=str(total))
        made.setdefault(question, (problem, solution))
    return list(made.values())


def prepared(out: Path) -> tuple[Path, Path]:
    """The fine-tuned model and the problems it has not seen, made once a folder."""
    made = worked(NUM_SFT + NUM_ASKED, seed=0)
    shown, asked = made[:NUM_SFT], made[NUM_SFT:]
    stage = RunDirectory(out, recipe_name="running_totals", recipe={}).stage("sft", SFT, SCRATCH, NUM_SFT, MOST)
    if not stage.finished:
        fine_tune(stage, [problem for problem, _ in shown], [solution for _, solution in shown])
    problems = out / "problems.jsonl"
    write_jsonl(problems, [problem for problem, _ in asked])
    return stage.path / "model", problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for path in prepared(arguments.out):
        print(path)


if __name__ == "__main__":
    main()
