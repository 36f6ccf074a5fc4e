"""Algorithm 1 on a toy world, in a process that can be killed: python -m tests.chain.iterate_worker FOLDER RUN [LINES].

It kills itself with SIGKILL as it writes that many lines of measurements.
"""

import dataclasses
import os
import signal
import sys
from pathlib import Path
from typing import Any

from mathwright import answers
from mathwright.chain import iterate
from mathwright.chain.iterate import RewardModelFiles
from mathwright.lm.recipe import SamplingRecipe
from mathwright.records import Problem
from mathwright.reward import train as reward_train
from mathwright.reward.recipe import RewardRecipe
from mathwright.run import Stage
from tests.rl import toy

PROBLEMS = [
    Problem(id=f"p{i}", question=f"{i} + {i}", answer=str(2 * i), source="toy", split="train") for i in range(1, 21)
]
SAMPLING = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=2)
REWARD = RewardRecipe(
    num_problems=20, responses_per_problem=4, sampling=SAMPLING, num_epochs=2, batch_rankings=4, micro_batch_tokens=200,
    heldout_share=0.25, optimiser=toy.recipe().optimiser,
)  # fmt: skip


def train_reward_model(folder: Path) -> None:
    """What the iterations begin with: a random model and a reward model of its samples."""
    toy.model_folder(folder / "model")
    reward_train.run(
        REWARD,
        toy.stage(folder / "before", "reward"),
        model=folder / "model",
        problems=PROBLEMS,
        template="short",
        dtype="float32",
        seed=1,
    )


def iterated(folder: Path, out: Path, *, reward: str = "model", **changes: Any) -> Stage:
    """Two iterations of two steps, unless the changes say otherwise."""
    recipe = toy.recipe(
        **{
            "reward": reward, "iterations": 2, "num_steps": 2, "problems_per_step": 6, "group_size": 4,
            "sampling": SAMPLING, "extra_rewards": (), **changes,
        }
    )  # fmt: skip
    stage, before = toy.stage(out), folder / "before" / "reward"
    iterate.run(
        recipe,
        stage,
        model=folder / "model",
        reward=RewardModelFiles(
            recipe=dataclasses.replace(REWARD, batch_rankings=2),
            model=before / "model",
            samples=before / "samples.jsonl",
            heldout=before / "heldout.jsonl",
        )
        if reward == "model"
        else None,
        problems=PROBLEMS,
        template="short",
        dtype="float32",
        seed=3,
    )
    return stage


def main() -> None:
    folder, out, *lines = sys.argv[1:]
    answers.check_responses = toy.even_is_right
    if lines:
        log, left = Stage.log, int(lines[0])

        def dying(self: Stage, *values: Any, **named: Any) -> None:
            nonlocal left
            log(self, *values, **named)
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        Stage.log = dying
    iterated(Path(folder), Path(out))


if __name__ == "__main__":
    main()
