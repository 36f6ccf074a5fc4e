"""Does RL on chain of thought in one language lift what it was not trained on: tools, and another language? (Table 5)

    python benchmarks/rl_elsewhere.py --out runs/elsewhere

The paper reinforces on English questions in chain of thought alone and reports gains with tools and on Chinese ones.
Here a Llama of 0.9M parameters from scratch is fine-tuned on the questions of `learning_curves.py` in chain of thought,
with tools, and in Chinese; GRPO by verdict then sees English chain of thought only. Measured before and after: 400
held-out English questions both ways, and their Chinese wording where fine-tuning has not seen it; greedily, and by 16
samples of 200 of them. The difference has questions and seeds as crossed random effects; "ahead" is said where its
interval lies above 0 and every seed is on that side. The folder resumes.
from __future__ import annotations
"""

import argparse
import random
import re
from dataclasses import replace
from pathlib import Path

import torch
from learning_curves import EVAL, SFT, TEMPLATE, drawn_problems, fine_tune, rl_recipe
from learning_tables import percent, print_verdicts

from mathwright.eval.run import EvaluatedModel
from mathwright.eval.run import run as evaluate
from mathwright.records import EvalRecord, Part, Problem, Solution, read_jsonl
from mathwright.rl import training as rl
from mathwright.run import RunDirectory, read_manifest

MIXED = replace(SFT, formats=("cot", "tool"), num_steps=1_050)
"""Three times the solutions of `learning_curves.py`, in three times the steps."""

CHINESE = {
    "add_two": ("{a} + {b} 等于多少？", "计算 {a} + {b}。", "{a} 与 {b} 的和是多少？", "求 {a} + {b} 的值。"),
    "subtract_two": ("{a} - {b} 等于多少？", "计算 {a} - {b}。", "{a} 与 {b} 的差是多少？", "{a} 减去 {b} 是多少？"),
    "multiply_two": ("{a} * {b} 等于多少？", "计算 {a} * {b}。", "{a} 与 {b} 的积是多少？", "求 {a} * {b} 的值。"),
    "gets_more": (
        "{who}有 {a} {unit}{thing}，又得到 {b} {unit}。{who}现在有多少{unit}{thing}？",
        "盒子里有 {a} {unit}{thing}，{who}又放进 {b} {unit}。盒子里现在有多少{unit}{thing}？",
    ),
    "gives_away": (
        "{who}有 {a} {unit}{thing}，送出 {b} {unit}。还剩多少{unit}{thing}？",
        "盒子里有 {a} {unit}{thing}，{who}拿走 {b} {unit}。盒子里还剩多少{unit}{thing}？",
    ),
    "plus_equation": (
        "求 {x}，使 {x} + {b} = {a}。",
        "解方程 {b} + {x} = {a}，求 {x}。",
        "如果 {x} + {b} = {a}，{x} 的值是多少？",
        "已知 {b} + {x} = {a}，{x} 等于多少？",
    ),
}
"""Wordings of each template, with the numbers in the order in which the solution has them."""
NAMES = ("小明", "小红", "小刚", "小丽", "小华", "小军")
THINGS = (("石子", "颗"), ("书", "本"), ("硬币", "枚"), ("铅笔", "支"), ("苹果", "个"), ("糖", "块"))


def in_chinese(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
    """The same calculation asked in Chinese, its words drawn by the problem's id, and its chain of thought."""
    step = solution.parts[0].text.splitlines()[0]
    a, b = re.findall(r"\d+", step)[:2]
    rng = random.Random(problem.id)
    thing, unit = rng.choice(THINGS)
    words = {"who": rng.choice(NAMES), "thing": thing, "unit": unit, "x": step.strip()[0]}
    wording = rng.choice(CHINESE[problem.id.split("-")[1]])
    asked = replace(problem, id=f"{problem.id}-zh", question=wording.format(a=a, b=b, **words), language="zh")
    text = re.sub(r"The answer is (\\boxed\{.*\})\.", r"答案是 \1。", solution.parts[0].text)
    assert "答案" in text, solution
    return asked, replace(solution, problem_id=asked.id, parts=(Part(kind="text", text=text),))


class Elsewhere:
    """The run directory: one fine-tuned model, a reinforced one a seed, evaluated at three kinds of questions."""

    def __init__(self, out: Path, num_steps: int, num_questions: int, rate: float) -> None:
        self.run = RunDirectory(out, recipe_name="rl_elsewhere", recipe={})
        english, self.rl_problems, heldout, _, solutions = drawn_problems()
        thoughts = {s.problem_id: s for s in solutions if s.format == "cot"}
        chinese = [in_chinese(problem, thoughts[problem.id]) for problem in english]
        seen = {problem.question for problem, _ in chinese}
        ids = {problem.id for problem in english}
        self.problems = [*english, *(problem for problem, _ in chinese)]
        self.solutions = [
            *(s for s in solutions if s.problem_id in ids and s.format in MIXED.formats),
            *(solution for _, solution in chinese),
        ]
        translated = [in_chinese(problem, thoughts[problem.id])[0] for problem in heldout]
        unseen = list({p.question: p for p in translated if p.question not in seen}.values())
        self.places = {
            "English, chain of thought": ("cot", heldout),
            "English, tools": ("tool", heldout),
            "Chinese, chain of thought": ("cot", unseen),
        }
        plain = rl_recipe(num_steps, num_questions)
        slower = replace(plain.optimiser, lr=rate * plain.optimiser.lr)
        self.recipe = replace(plain, optimiser=slower, evaluate_every=0)

    def fine_tuned(self) -> Path:
        stage = self.run.stage("sft", MIXED)
        if not stage.finished:
            fine_tune(stage, self.problems, self.solutions, MIXED)
        return stage.path / "model"

    def reinforced(self, seed: int) -> Path:
        stage = self.run.stage(f"grpo-{seed}", self.recipe, MIXED)
        if not stage.finished:
            given = {"model": self.fine_tuned(), "template": TEMPLATE, "dtype": "float32"}
            rl.run(self.recipe, stage, problems=self.rl_problems, reward_model=None, seed=seed, **given)
        return stage.output("model")

    def records(self, name: str, model: Path, place: str) -> list[EvalRecord]:
        """Of an evaluation that is made where it is not there, its figures printed."""
        mode, problems = self.places[place]
        recipe = replace(EVAL, modes=(mode,), max_tool_rounds=2 if mode == "tool" else 0)
        stage = self.run.stage(f"eval-{name}-{place.replace(', ', '-').replace(' ', '-')}", recipe, self.recipe, MIXED)
        if not stage.finished:
            models = {name: EvaluatedModel(path=model, template=TEMPLATE)}
            evaluate(recipe, stage, models=models, problems=problems, dtype="float32", seed=0)
        manifest = read_manifest(stage.path)
        assert manifest is not None
        (row,) = manifest["summary"]["table"]
        print(
            f"| {name} | {place} | {len(problems)} | {percent(row['accuracy'])} | {percent(row['pass_at']['1'])} "
            f"| {percent(row['maj_at']['16'])} | {percent(row['pass_at']['16'])} |"
        )
        return list(read_jsonl(stage.path / "records.jsonl", EvalRecord))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rate", type=float, default=0.5, help="times the learning rate of 3e-4")
    parser.add_argument("--steps", type=int, default=125)
    parser.add_argument("--questions", type=int, default=16, help="of a step, each with 8 samples")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    elsewhere = Elsewhere(arguments.out, arguments.steps, arguments.questions, arguments.rate)
    models = {"sft": elsewhere.fine_tuned()} | {f"grpo-{s}": elsewhere.reinforced(s) for s in arguments.seeds}
    print("\n| model | asked in | questions | greedy | one sample | Maj@16 | Pass@16 |\n" + "|---" * 7 + "|")
    found = {
        place: [elsewhere.records(name, model, place) for name, model in models.items()] for place in elsewhere.places
    }
    for place, (before, *after) in found.items():
        print_verdicts({"sft": [before] * len(after), "grpo": after}, place)


if __name__ == "__main__":
    main()
