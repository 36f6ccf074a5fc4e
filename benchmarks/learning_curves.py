"""Does reinforcement lift a fine-tuned model, and which of the paper's methods lifts it most? (Figures 5 and 7, small.)

    python benchmarks/learning_curves.py --out runs/curves                          # about an hour on one core
    python benchmarks/learning_curves.py --out runs/curves --arms grpo --seeds 0    # one arm

A Llama of 0.9M parameters from scratch is fine-tuned on worked solutions of questions about single digits (chain of
thought, a line a step), then each arm goes on from it: GRPO with outcome and with process supervision, online RFT and
RFT, all on the same number of samples of the same questions, none of which fine-tuning has seen. Held-out questions are
further ones of the same templates; those of "new numbers" also have numbers that stand in no training question. Greedy
accuracy is measured on the way; Maj@K and Pass@K (16 samples at 0.7, §5.2.2) before and after. The folder resumes; the
same command prints the tables again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from mathwright.eval.recipe import EvalRecipe
from mathwright.eval.run import EvaluatedModel
from mathwright.eval.run import run as evaluate
from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe, ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.problems.formats import response_text
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.problems.sources import load_problems
from mathwright.records import Problem, Solution, to_json
from mathwright.rl import train as rl
from mathwright.rl.recipe import RLRecipe
from mathwright.run import RunDirectory, Stage, read_manifest, read_metrics
from mathwright.sft import train as sft
from mathwright.sft.recipe import SFTRecipe

QUESTIONS = "add_two,subtract_two,multiply_two,gets_more,gives_away,plus_equation"
NUM_SFT, NUM_RL, NUM_HELDOUT = 1_000, 2_500, 400
TEMPLATE = "short"
ARMS = ("grpo", "grpo_process", "online_rft", "rft")
SCRATCH = ScratchRecipe(vocab_size=512, width=128, num_layers=4, num_heads=4, num_kv_heads=4, ffn_width=352)


def adamw(
    lr: float, *, warmup_steps: int, weight_decay: float, decay: tuple[tuple[float, float], ...]
) -> OptimiserRecipe:
    return OptimiserRecipe(
        lr=lr,
        beta1=0.9,
        beta2=0.95,
        eps=1e-8,
        weight_decay=weight_decay,
        clip_norm=1.0,
        warmup_steps=warmup_steps,
        decay=decay,
    )


def sampling(temperature: float) -> SamplingRecipe:
    return SamplingRecipe(temperature=temperature, top_p=1.0, top_k=0, max_new_tokens=64)


SFT = SFTRecipe(
    formats=("cot",),
    num_examples=0,
    context=512,
    batch_rows=2,
    num_steps=350,
    optimiser=adamw(2e-3, warmup_steps=20, weight_decay=0.1, decay=((0.8, 0.316),)),
    checkpoint_every=0,
)
EVAL = EvalRecipe(
    modes=("cot",),
    start_template=TEMPLATE,
    num_problems=400,
    greedy_max_new_tokens=64,
    num_samples=16,
    num_sampled_problems=200,
    sampling=sampling(0.7),
    max_tool_rounds=0,
    batch_size=256,
)


def rl_recipe(method: Any, num_steps: int) -> RLRecipe:
    return RLRecipe(
        method=method,
        reward="rule",
        mode="cot",
        num_steps=num_steps,
        problems_per_step=32,
        group_size=8,
        inner_updates=1,
        clip_eps=0.2,
        kl_coef=0.04,
        advantage_std="population",
        advantage_eps=1e-6,
        sampling=sampling(1.0),
        micro_batch_tokens=4_096,
        optimiser=adamw(3e-4, warmup_steps=10, weight_decay=0.0, decay=()),
        checkpoint_every=50,
        generation_batch=256,
        evaluate_every=50,
        num_evaluated=200,
    )


class Experiment:
    """The run directory: problems and start model once, an arm a stage."""

    def __init__(self, out: Path, num_steps: int) -> None:
        self.run = RunDirectory(out, recipe_name="learning_curves", recipe={"sft": to_json(SFT)})
        self.num_steps = num_steps
        source = ProblemSourceRecipe(
            source="procedural", path=QUESTIONS, num_train=NUM_SFT + NUM_RL + NUM_HELDOUT, num_test=400
        )
        loaded = load_problems(ProblemsRecipe(sources=(source,), difficulty=0, seed=0))
        order = torch.randperm(len(loaded.train), generator=torch.Generator().manual_seed(0))
        shuffled = [loaded.train[i] for i in order]
        assert len({p.question for p in shuffled}) == len(shuffled), "no question is asked twice"
        self.sft_problems, self.rl_problems = shuffled[:NUM_SFT], shuffled[NUM_SFT : NUM_SFT + NUM_RL]
        ids = {problem.id for problem in self.sft_problems}
        self.solutions = [s for s in loaded.solutions if s.format == "cot" and s.problem_id in ids]
        self.sets = {"heldout": shuffled[-NUM_HELDOUT:], "new numbers": list(loaded.test)}

    def fine_tuned(self) -> Path:
        stage = self.run.stage("sft", SFT, SCRATCH, QUESTIONS, NUM_SFT)
        if not stage.finished:
            fine_tune(stage, self.sft_problems, self.solutions)
        return stage.path / "model"

    def arm(self, method: str, seed: int) -> Stage:
        recipe = rl_recipe(method, self.num_steps)
        stage = self.run.stage(f"{method}-{seed}", recipe, SFT)
        if not stage.finished:
            rl.run(
                recipe,
                stage,
                model=self.fine_tuned(),
                reward_model=None,
                problems=self.rl_problems,
                template=TEMPLATE,
                dtype="float32",
                seed=seed,
                heldout=self.sets["heldout"],
            )
        return stage

    def evaluation(self, name: str, model: Path) -> dict[str, dict[str, Any]]:
        """The rows of a model, a row a set; each has a stage of its own, so that arms can be added."""
        rows = {}
        for kind, problems in self.sets.items():
            stage = self.run.stage(f"eval-{name}-{kind.replace(' ', '-')}", EVAL, SFT, name, self.num_steps)
            if not stage.finished:
                models = {name: EvaluatedModel(path=model, template=TEMPLATE)}
                evaluate(EVAL, stage, models=models, problems=problems, dtype="float32", seed=0)
            manifest = read_manifest(stage.path)
            assert manifest is not None
            rows[kind] = manifest["summary"]["table"][0]
        return rows


def fine_tune(stage: Stage, problems: list[Problem], solutions: list[Solution]) -> None:
    texts = [p.question for p in problems] + [response_text(s, TEMPLATE) for s in solutions]
    lm = from_scratch(SCRATCH, texts, max_length=256, seed=0)
    save(lm, stage.path / "start")
    sft.run(
        SFT,
        stage,
        model=stage.path / "start",
        problems=problems,
        solutions=solutions,
        template=TEMPLATE,
        dtype="float32",
        seed=0,
    )


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def print_tables(rows: dict[str, dict[str, dict[str, Any]]], curves: dict[str, dict[int, float]]) -> None:
    print("\n| model | problems | greedy | one sample | Maj@16 | Pass@16 |\n|---|---|---|---|---|---|")
    for name, kinds in rows.items():
        for kind, row in kinds.items():
            figures = [
                (row["accuracy"], row["accuracy_interval"]),
                (row["pass_at"]["1"], row["pass_at_interval"]["1"]),
                (row["maj_at"]["16"], row["maj_at_interval"]["16"]),
                (row["pass_at"]["16"], row["pass_at_interval"]["16"]),
            ]
            cells = (f"{percent(mean)} ({percent(low)} to {percent(high)})" for mean, (low, high) in figures)
            print(f"| {name} | {kind} | {' | '.join(cells)} |")
    steps = sorted({step for curve in curves.values() for step in curve})
    print("\n| greedy accuracy after step | " + " | ".join(map(str, steps)) + " |\n|---|" + "---|" * len(steps))
    for name, curve in curves.items():
        print(f"| {name} | " + " | ".join(percent(curve[s]) if s in curve else "" for s in steps) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--arms", nargs="+", default=ARMS, choices=ARMS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    experiment = Experiment(arguments.out, arguments.steps)
    rows = {"sft": experiment.evaluation("sft", experiment.fine_tuned())}
    curves: dict[str, dict[int, float]] = {}
    for seed in arguments.seeds:
        for method in arguments.arms:
            stage, name = experiment.arm(method, seed), f"{method}, seed {seed}"
            curves[name] = {m["step"]: m["accuracy"] for m in read_metrics(stage.path) if m.get("kind") == "eval"}
            rows[name] = experiment.evaluation(f"{method}-{seed}", stage.path / "model")
    (arguments.out / "tables.json").write_text(json.dumps({"rows": rows, "curves": curves}, indent=2))
    print_tables(rows, curves)


if __name__ == "__main__":
    main()
