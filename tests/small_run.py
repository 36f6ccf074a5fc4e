"""A run of a few seconds: a random model of a few thousand weights, sums to learn, every training stage."""

import hashlib
import json
from pathlib import Path

from mathwright.eval.recipe import EvalRecipe
from mathwright.lm.recipe import ModelRecipe, OptimiserRecipe, SamplingRecipe, ScratchRecipe
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.recipe import Recipe
from mathwright.reward.recipe import RewardRecipe
from mathwright.rl.recipe import RewardTermRecipe, RLRecipe
from mathwright.sft.recipe import SFTRecipe

ADAMW = OptimiserRecipe(
    lr=1e-2, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0, clip_norm=1.0, warmup_steps=3, decay=()
)
SAMPLING = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=6)


def recipe(folder: Path) -> Recipe:
    """The recipe, its problems in `folder`."""
    return Recipe(
        name="small",
        seed=0,
        model=ModelRecipe(
            source="scratch",
            scratch=ScratchRecipe(vocab_size=300, width=16, num_layers=1, num_heads=2, num_kv_heads=1, ffn_width=32),
            dtype="float32",
            max_length=96,
        ),
        template="short",
        problems=ProblemsRecipe(
            sources=(
                ProblemSourceRecipe(
                    source=str(folder / "problems.jsonl"),
                    path=str(folder / "solutions.jsonl"),
                    num_train=12,
                    num_test=4,
                ),
            ),
            difficulty=0,
            seed=0,
        ),
        corpus=None,
        compare=None,
        pretrain=None,
        sft=SFTRecipe(
            formats=("cot",), num_examples=0, context=64, batch_rows=2, num_steps=4, optimiser=ADAMW, checkpoint_every=2
        ),
        reward=RewardRecipe(
            num_problems=8, responses_per_problem=4, sampling=SAMPLING, num_epochs=1, batch_rankings=2,
            micro_batch_tokens=256, heldout_share=0.25, optimiser=ADAMW,
        ),
        rl=RLRecipe(
            method="grpo", reward="rule", mode="cot", num_steps=2, problems_per_step=2, group_size=4, inner_updates=1,
            clip_eps=0.2, kl_coef=0.04, advantage_std="population", advantage_eps=1e-6, sampling=SAMPLING,
            micro_batch_tokens=256, optimiser=ADAMW, checkpoint_every=1,
            extra_rewards=(RewardTermRecipe(kind="function", weight=1.0, function="tests.rl.toy:share_of_digits"),),
        ),
        eval=EvalRecipe(
            modes=("cot",), start_template="short", num_problems=4, greedy_max_new_tokens=4, num_samples=0,
            num_sampled_problems=0, sampling=SAMPLING, max_tool_rounds=0, batch_size=4,
        ),
    )  # fmt: skip


def write_recipe(folder: Path) -> Path:
    """A file for the command line that defines the recipe, and its problems beside it."""
    numbers = [(a, b) for a in range(4) for b in range(4)]
    with (folder / "problems.jsonl").open("w") as problems, (folder / "solutions.jsonl").open("w") as solutions:
        for number, (a, b) in enumerate(numbers):
            problem = {"id": f"p{a}-{b}", "question": f"{a} + {b}", "answer": str(a + b), "source": "toy"}
            problems.write(json.dumps({**problem, "split": "train" if number % 4 else "test"}) + "\n")
            part = {"kind": "text", "text": f"It is \\boxed{{{a + b}}}."}
            solution = {"problem_id": f"p{a}-{b}", "format": "cot", "parts": [part], "answer": str(a + b)}
            solutions.write(json.dumps(solution) + "\n")
    path = folder / "small.py"
    path.write_text(
        "from pathlib import Path\nfrom tests.small_run import recipe as small\n\n\n"
        "def recipe():\n    return small(Path(__file__).parent)\n"
    )
    return path


def contents(folder: Path) -> dict[str, str]:
    """The hash of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
