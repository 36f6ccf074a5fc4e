"""Does reinforcement lift a fine-tuned model, which of the paper's methods lifts it most, and what do a learned reward,
a value model and iterations add? (Figures 5, 6 and 7, small.)

    python benchmarks/learning_curves.py --out runs/curves                          # Figure 5: about two hours
    python benchmarks/learning_curves.py --out runs/curves --arms grpo ppo --seeds 0 1 2
    python benchmarks/learning_curves.py --out runs/curves --arms grpo ppo --seeds 10 11 --rates 1 3    # tuning
    ... --arms iterated iterated_frozen iterated_kept iterated_neither                                  # Algorithm 1

A Llama of 0.9M parameters from scratch is fine-tuned on worked solutions of questions about single digits (chain of
thought, a line a step), then each arm goes on from it, all on the same number of samples of the same questions, none of
which fine-tuning has seen. Arms whose reward is learned share one outcome and one process reward model, trained on
samples of the fine-tuned model. Held-out questions are further ones of the same templates; those of "new numbers" also
have numbers that stand in no training question. Greedy accuracy is measured on the way; Maj@K and Pass@K (16 samples at
0.7, §5.2.2) before and after. Arms of iterations are half as long as the others, in two iterations. The folder resumes;
the same command prints the tables again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice, product
from pathlib import Path
from typing import Any

import torch
from learning_tables import print_at_k, print_best_of, print_tables, print_trainings, print_trust, print_verdicts
from value_trust import measured

from mathwright.chain import iterate
from mathwright.chain.iterate import RewardModelFiles
from mathwright.eval.annotate import with_scores
from mathwright.eval.recipe import EvalRecipe
from mathwright.eval.run import EvaluatedModel
from mathwright.eval.run import run as evaluate
from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe, ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.problems.formats import response_text
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.problems.sources import load_problems
from mathwright.records import EvalRecord, JudgedGroup, Problem, Solution, read_jsonl, to_json
from mathwright.reward.recipe import ProcessRecipe, RewardRecipe
from mathwright.reward.stage import run as train_reward_models
from mathwright.rl import training as rl
from mathwright.rl.recipe import RLRecipe
from mathwright.rl.trust import Trust
from mathwright.run import RunDirectory, Stage, read_manifest, read_metrics
from mathwright.sft import training as sft
from mathwright.sft.recipe import SFTRecipe

QUESTIONS = "add_two,subtract_two,multiply_two,gets_more,gives_away,plus_equation"
NUM_SFT, NUM_RL, NUM_HELDOUT = 1_000, 2_500, 400
TEMPLATE = "short"
SCRATCH = ScratchRecipe(vocab_size=512, width=128, num_layers=4, num_heads=4, num_kv_heads=4, ffn_width=352)
MAX_LENGTH = 1024
"""Tokens of the model's context: solutions from elsewhere, which its process model judges, are longer than its own."""


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
REWARD = RewardRecipe(
    num_problems=2_400,
    responses_per_problem=8,
    sampling=sampling(1.0),
    num_epochs=15,  # at 6 it still orders 9% of what it is trained on wrongly, and the policy finds out which
    batch_rankings=8,
    micro_batch_tokens=4_096,
    heldout_share=0.25,
    optimiser=adamw(1e-3, warmup_steps=10, weight_decay=0.0, decay=((0.2, 0.6), (0.4, 0.36), (0.6, 0.2), (0.8, 0.1))),
    token_weight=1.0,
    language_weight=1.0,
)
PROCESS = replace(
    REWARD,
    kind="process",
    num_epochs=10,
    generation_batch=256,
    process=ProcessRecipe(responses_per_problem=4),
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


def rl_recipe(num_steps: int, num_questions: int) -> RLRecipe:
    return RLRecipe(
        method="grpo",
        reward="rule",
        mode="cot",
        num_steps=num_steps,
        problems_per_step=num_questions,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """How an arm differs from GRPO with outcome supervision by rule."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    iterations: int = 1
    alone: bool = False
    """Whether as many samples a step are of as many questions, one each."""

    def recipe(self, num_steps: int, num_questions: int, rate: float) -> RLRecipe:
        if self.iterations > 1:
            num_steps = num_steps // 2 // self.iterations
        plain = rl_recipe(num_steps, num_questions)
        if self.alone:
            plain = replace(plain, problems_per_step=num_questions * plain.group_size, group_size=1)
        faster = replace(plain.optimiser, lr=rate * plain.optimiser.lr)
        return replace(plain, optimiser=faster, iterations=self.iterations, **self.changes)


LEARNED = {"reward": "model"}
GENTLE = {**LEARNED, "sigmoid_reward": True, "method": "dr_grpo"}
"""The learned reward that lifts the policy most (docs/log.md)."""
ARMS = {
    # Figure 5
    "grpo": Arm(),
    "grpo_process": Arm(changes={"method": "grpo_process"}),
    "online_rft": Arm(changes={"method": "online_rft"}),
    "rft": Arm(changes={"method": "rft"}),
    # the same with learned rewards, as the paper has them
    "grpo_model": Arm(changes=LEARNED),
    "grpo_sigmoid": Arm(changes={**LEARNED, "sigmoid_reward": True}),
    # less of the division by the deviation, which makes as much of the noise of an all-wrong group as of verdicts
    "grpo_sigmoid_floor": Arm(changes={**LEARNED, "sigmoid_reward": True, "advantage_eps": 0.2}),
    "dr_grpo_sigmoid": Arm(changes=GENTLE),
    "grpo_process_model": Arm(changes={"method": "grpo_process", "step_reward": "model"}),
    # a response is worth its worst step, in place of the sum over its steps (PURE)
    "grpo_process_model_min": Arm(changes={"method": "grpo_process", "step_reward": "model", "process_credit": "min"}),
    # PPO: as many samples, of each question 8 or 1; its values begin as the reward model (§4.1.1) or as the policy, and
    # have learned from samples of the fine-tuned model
    "ppo": Arm(changes={"method": "ppo", "value_init": "reward"}),
    "ppo_cold": Arm(changes={"method": "ppo", "value_init": "reward", "value_pretraining": 0}),
    "ppo_from_policy": Arm(changes={"method": "ppo", "value_init": "policy"}),
    "ppo_alone": Arm(changes={"method": "ppo", "value_init": "reward"}, alone=True),
    "ppo_lambda": Arm(changes={"method": "ppo", "value_init": "reward", "lambda_policy": 0.95}),
    # Algorithm 1: the reward model refreshed or frozen, pi_ref reset or kept
    "iterated": Arm(changes=GENTLE, iterations=2),
    "iterated_frozen": Arm(changes={**GENTLE, "refresh_reward": False}, iterations=2),
    "iterated_kept": Arm(changes={**GENTLE, "reset_reference": False}, iterations=2),
    "iterated_neither": Arm(changes={**GENTLE, "refresh_reward": False, "reset_reference": False}, iterations=2),
}
VALUE_GROUPS = 600
"""Questions, each with 8 samples of the fine-tuned model and their verdicts, that values learn from beforehand."""
FIGURE_5 = ("grpo", "grpo_process", "online_rft", "rft")


def drawn_problems() -> tuple[list[Problem], list[Problem], list[Problem], list[Problem], list[Solution]]:
    """Problems to fine-tune on, to reinforce on, held out, with new numbers; the solutions of all but the last."""
    source = ProblemSourceRecipe(
        source="procedural", path=QUESTIONS, num_train=NUM_SFT + NUM_RL + NUM_HELDOUT, num_test=400
    )
    loaded = load_problems(ProblemsRecipe(sources=(source,), difficulty=0, seed=0))
    order = torch.randperm(len(loaded.train), generator=torch.Generator().manual_seed(0))
    shuffled = [loaded.train[i] for i in order]
    assert len({p.question for p in shuffled}) == len(shuffled), "no question is asked twice"
    parts = shuffled[:NUM_SFT], shuffled[NUM_SFT : NUM_SFT + NUM_RL], shuffled[-NUM_HELDOUT:]
    return *parts, list(loaded.test), list(loaded.solutions)


class Experiment:
    """The run directory: problems and start model once, an arm a stage."""

    def __init__(self, out: Path, num_steps: int, num_questions: int) -> None:
        self.run = RunDirectory(out, recipe_name="learning_curves", recipe={"sft": to_json(SFT)})
        self.num_steps, self.num_questions = num_steps, num_questions
        self.sft_problems, self.rl_problems, heldout, new_numbers, solutions = drawn_problems()
        ids = {problem.id for problem in self.sft_problems}
        self.solutions = [s for s in solutions if s.format == "cot" and s.problem_id in ids]
        self.sets = {"heldout": heldout, "new numbers": new_numbers}

    def fine_tuned(self) -> Path:
        stage = self.run.stage("sft", SFT, SCRATCH, MAX_LENGTH, QUESTIONS, NUM_SFT)
        if not stage.finished:
            fine_tune(stage, self.sft_problems, self.solutions)
        return stage.path / "model"

    def reward_model(self) -> RewardModelFiles:
        """Of outcomes, trained on samples of the fine-tuned model."""
        stage = self._reward_stage("reward", REWARD)
        return RewardModelFiles(
            recipe=REWARD,
            model=stage.output("model"),
            samples=stage.output("samples"),
            heldout=stage.output("heldout"),
        )

    def process_model(self) -> Path:
        """Of steps."""
        return self._reward_stage("process_reward", PROCESS).output("process_model")

    def _reward_stage(self, name: str, recipe: RewardRecipe) -> Stage:
        stage = self.run.stage(name, recipe, SFT)
        if not stage.finished:
            given = {"problems": self.rl_problems, "template": TEMPLATE, "dtype": "float32", "seed": 0}
            train_reward_models(recipe, stage, model=self.fine_tuned(), **given)
        return stage

    def arm(self, name: str, seed: int, rate: float) -> Stage:
        arm = ARMS[name]
        recipe = arm.recipe(self.num_steps, self.num_questions, rate)
        pretrained = recipe.method == "ppo" and recipe.value_pretraining > 0
        by_outcome = recipe.reward == "model" or recipe.value_init == "reward" or pretrained
        by_process = recipe.step_reward == "model"
        judges = [*[REWARD] * by_outcome, *[VALUE_GROUPS] * pretrained, *[PROCESS] * by_process]
        stage = self.run.stage(named(name, seed, rate), recipe, SFT, *judges)
        if stage.finished:
            return stage
        judge = self.reward_model() if by_outcome else None
        given: dict[str, Any] = {
            "model": self.fine_tuned(),
            "problems": self.rl_problems,
            "template": TEMPLATE,
            "dtype": "float32",
            "seed": seed,
            "heldout": self.sets["heldout"],
            "process_model": self.process_model() if by_process else None,
        }
        if recipe.iterations > 1:
            iterate.run(recipe, stage, reward=judge, **given)
        else:
            samples = islice(read_jsonl(judge.samples, JudgedGroup), VALUE_GROUPS) if judge and pretrained else ()
            rl.run(recipe, stage, reward_model=judge.model if judge else None, value_samples=list(samples), **given)
        return stage

    def evaluation(self, name: str, model: Path) -> dict[str, dict[str, Any]]:
        """The rows of a model, a row a set; each has a stage of its own, so that arms can be added."""
        rows = {}
        for kind, problems in self.sets.items():
            stage = self.run.stage(
                f"eval-{name}-{kind.replace(' ', '-')}", EVAL, SFT, name, self.num_steps, self.num_questions
            )
            if not stage.finished:
                models = {name: EvaluatedModel(path=model, template=TEMPLATE)}
                evaluate(EVAL, stage, models=models, problems=problems, dtype="float32", seed=0)
            manifest = read_manifest(stage.path)
            assert manifest is not None
            rows[kind] = manifest["summary"]["table"][0]
        return rows

    def records(self, name: str) -> list[EvalRecord]:
        """What `evaluation` recorded on the held-out questions."""
        return list(read_jsonl(self.run.path / f"eval-{name}-heldout" / "records.jsonl", EvalRecord))

    def trust(self, arm: str, seed: int, rate: float) -> Trust:
        """How far the values that PPO ends with say what comes of a response (`value_trust.py`)."""
        name = named(arm, seed, rate)
        recipe = ARMS[arm].recipe(self.num_steps, self.num_questions, rate)
        stage = self.run.stage(f"trust-{name}", recipe, SFT)
        if not stage.finished:
            found = measured(self.arm(arm, seed, rate).path, recipe)
            stage.finish(outputs={}, summary=asdict(found))
        manifest = read_manifest(stage.path)
        assert manifest is not None
        return Trust(**manifest["summary"])

    def many_samples(self, name: str, model: Path, num: int) -> list[EvalRecord]:
        """So many samples of a model to the first of the held-out questions."""
        recipe = replace(EVAL, num_samples=num)
        stage = self.run.stage(f"eval{num}-{name}", recipe, SFT, name, self.num_steps, self.num_questions)
        if not stage.finished:
            problems = self.sets["heldout"][: EVAL.num_sampled_problems]
            models = {name: EvaluatedModel(path=model, template=TEMPLATE)}
            evaluate(recipe, stage, models=models, problems=problems, dtype="float32", seed=1)
        return list(read_jsonl(stage.path / "records.jsonl", EvalRecord))


def named(arm: str, seed: int, rate: float) -> str:
    return f"{arm}-{seed}" + (f"-rate{rate:g}" if rate != 1 else "")


def fine_tune(stage: Stage, problems: list[Problem], solutions: list[Solution], recipe: SFTRecipe = SFT) -> None:
    """A model from scratch, its tokenizer of these texts."""
    texts = [p.question for p in problems] + [response_text(s, TEMPLATE) for s in solutions]
    lm = from_scratch(SCRATCH, texts, max_length=MAX_LENGTH, seed=0)
    save(lm, stage.path / "start")
    sft.run(
        recipe,
        stage,
        model=stage.path / "start",
        problems=problems,
        solutions=solutions,
        template=TEMPLATE,
        dtype="float32",
        seed=0,
    )


def training(stage: Stage) -> dict[str, Any]:
    """What a training cost and how it ended, means over its last tenth."""
    manifest = read_manifest(stage.path)
    assert manifest is not None
    steps = [m for m in read_metrics(stage.path) if m.get("kind") == "train"]
    last = steps[-max(1, len(steps) // 10) :]

    def mean(name: str) -> float | None:
        values = [m[name] for m in last if m.get(name) is not None]
        return sum(values) / len(values) if values else None

    return {
        "seconds": manifest["seconds"],
        "peak_memory_bytes": manifest["peak_memory_bytes"],
        "num_steps": len(steps),
        # the KL to the fine-tuned model, whatever the reference is by then
        "kl": mean("kl_initial") if mean("kl_initial") is not None else mean("kl"),
        "reward": mean("reward_mean"),
        "accuracy": mean("accuracy"),
        "explained_variance": mean("explained_variance"),
        "reward_matrix": manifest["summary"].get("reward_matrix"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--arms", nargs="+", default=FIGURE_5, choices=ARMS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0], help="times the learning rate of 3e-4")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--questions", type=int, default=32, help="of a step, each with 8 samples")
    parser.add_argument("--samples", type=int, default=0, help="K up to which Maj@K and Pass@K are drawn (Figure 7)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    experiment = Experiment(arguments.out, arguments.steps, arguments.questions)
    rows = {"sft": experiment.evaluation("sft", experiment.fine_tuned())}
    curves: dict[str, dict[int, float]] = {}
    trainings: dict[str, dict[str, Any]] = {}
    for seed, rate, arm in product(arguments.seeds, arguments.rates, arguments.arms):
        stage, name = experiment.arm(arm, seed, rate), named(arm, seed, rate)
        curves[name] = {m["step"]: m["accuracy"] for m in read_metrics(stage.path) if m.get("kind") == "eval"}
        trainings[name] = training(stage)
        rows[name] = experiment.evaluation(name, stage.output("model"))
    (arguments.out / "tables.json").write_text(
        json.dumps({"rows": rows, "curves": curves, "trainings": trainings}, indent=2)
    )
    print_tables(rows, curves)
    print_trainings(trainings)
    print_trust(
        {
            named(arm, seed, rate): experiment.trust(arm, seed, rate)
            for seed, rate, arm in product(arguments.seeds, arguments.rates, arguments.arms)
            if ARMS[arm].changes.get("method") == "ppo"
        }
    )
    if any(ARMS[arm].changes.get("reward") == "model" for arm in arguments.arms):
        judge = experiment.reward_model().model
        print_best_of(with_scores(experiment.records("sft"), judge, dtype="float32", device="cpu"))
    for rate in arguments.rates:
        arms = {arm: [experiment.records(named(arm, seed, rate)) for seed in arguments.seeds] for arm in arguments.arms}
        print_verdicts({"sft": [experiment.records("sft")] * len(arguments.seeds), **arms}, f"rate x {rate:g}")
        if arguments.samples:
            many = {
                arm: [
                    experiment.many_samples(name, experiment.arm(arm, seed, rate).output("model"), arguments.samples)
                    for seed in arguments.seeds
                    for name in [named(arm, seed, rate)]
                ]
                for arm in arguments.arms
            }
            print_at_k(experiment.many_samples("sft", experiment.fine_tuned(), arguments.samples), many)


if __name__ == "__main__":
    main()
