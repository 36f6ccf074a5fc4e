"""Values of a PPO run beside what really came of the same places, by completions of its policy.

    python benchmarks/value_trust.py RUN [--places 200] [--completions 32]

Reads RUN/rl/model, RUN/rl/value_model and the responses in RUN/rl/rollouts.jsonl, and prints one JSON object
(`mathwright.rl.trust.Trust`). Chain of thought alone: completions run no tools.
"""

import argparse
import dataclasses
import json
from pathlib import Path

from mathwright.judge import judge_all, undecided
from mathwright.lines import json_text
from mathwright.lm.generate import Generator
from mathwright.lm.load import load
from mathwright.problems.templates import Prompt
from mathwright.recipe import Recipe
from mathwright.records import RolloutGroup, from_json
from mathwright.rl import trust
from mathwright.rl.critic import Critic
from mathwright.rl.recipe import RLRecipe


def reward_of(group: RolloutGroup, text: str) -> float | None:
    """1 for a correct response, 0 for a wrong one."""
    (verdict,) = judge_all([(Prompt(problem=group.problem, mode="cot", text=group.prompt), text)], sandbox=None)
    return None if undecided(verdict) else float(verdict.correct)


def measured(
    folder: Path, recipe: RLRecipe, *, places: int = 200, completions: int = 32, next_steps: int = 4, seed: int = 0
) -> trust.Trust:
    """Of the policy and the values that a PPO stage has left in `folder`, at places of its own responses."""
    policy = load(folder / "model", dtype="float32")
    critic = Critic.load(
        dataclasses.replace(recipe, lora=None),
        policy,
        model=folder / "model",
        reward_model=None,
        value_model=folder / "value_model",
        dtype="float32",
        device="cpu",
        seed=0,
        end=policy.tokenizer.eos_token_id,
    )
    lines = (folder / "rollouts.jsonl").read_text(encoding="utf-8").splitlines()
    groups = [from_json(RolloutGroup, json.loads(line)["group"]) for line in lines]
    return trust.measure(
        critic,
        Generator(policy, max_batch=recipe.generation_batch),
        trust.places(groups, places, seed),
        reward_of,
        recipe.sampling,
        num_completions=completions,
        num_steps=next_steps,
        seed=seed,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--places", type=int, default=200)
    parser.add_argument("--completions", type=int, default=32)
    parser.add_argument("--next-steps", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())
    run = options.pop("run")
    recipe = from_json(Recipe, json.loads((run / "recipe.json").read_text(encoding="utf-8"))["recipe"]).rl
    assert recipe is not None
    print(json_text(dataclasses.asdict(measured(run / "rl", recipe, **options))))


if __name__ == "__main__":
    main()
