"""What the processes of test_parallel.py run: `torchrun ... -m tests.lm.workers JOBS FOLDER`; `run` in one process."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from mathwright.lm import heads, lora, parallel
from mathwright.lm.activations import checkpoint_activations
from mathwright.lm.attention import ATTENTION
from mathwright.lm.generate import Generator
from mathwright.lm.logprobs import next_token_losses, response_logprobs
from mathwright.lm.loop import Training, fit
from mathwright.lm.model import LanguageModel
from mathwright.lm.optimise import Optimiser
from mathwright.lm.pack import Example, GroupBatch, PackedRows, TokenGroup, pack_examples, pack_groups
from mathwright.lm.recipe import LoraRecipe, SamplingRecipe
from mathwright.lm.save import save
from mathwright.lm.shards import ShardWriter
from mathwright.lm.tokenise import encode
from mathwright.pretrain import training as pretraining
from mathwright.pretrain.recipe import MixtureRecipe, PretrainRecipe
from mathwright.records import Part, Problem, Solution
from mathwright.run import RunDirectory, Stage
from mathwright.sft.recipe import SFTRecipe
from mathwright.sft.training import run as fine_tune
from tests.lm.conftest import adamw, tiny_lm

NUM_STEPS = 6


def batches(step: int) -> list[PackedRows]:
    """Five micro-batches, which two processes cannot share evenly, of unequal sizes."""
    rng = random.Random(step)
    sizes = [rng.randrange(5, 30) for _ in range(10)]
    return pack_examples([Example([rng.randrange(200) for _ in range(n)], [True] * n) for n in sizes], 64, rng)[:5]


def loss(lm: LanguageModel, rows: PackedRows) -> tuple[torch.Tensor, dict[str, float]]:
    return next_token_losses(lm, rows).sum() / 150, {"tokens": rows.num_tokens}


def stage(folder: Path) -> Stage:
    return RunDirectory(folder, recipe_name="test", recipe={}).stage("train")


def train(folder: Path, lm: LanguageModel, *, num_steps: int = NUM_STEPS, kill_at: int | None = None) -> LanguageModel:
    def until_killed(step: int) -> list[PackedRows]:
        if step == kill_at and parallel.world().rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return batches(step)

    # the norm of the gradient is above clip_norm in all steps: were it not summed over processes, the weights differed
    fit(lm, stage(folder), Training(
        optimiser=adamw(warmup_steps=2, clip_norm=0.1), num_steps=num_steps,
        batches=until_killed, loss=loss, checkpoint_every=2, description="test",
        evaluate=lambda _: {"held_out": float(sum(loss(lm, rows)[0] for rows in batches(99)))}, evaluate_every=3,
    ))  # fmt: skip
    save(lm, folder / "model")
    return lm


def full(folder: Path) -> None:
    train(folder, tiny_lm())


def untied_lm() -> LanguageModel:
    """An output layer of its own, biases, and rows of weights that do not divide by the processes."""
    config = Qwen2Config(
        vocab_size=301, hidden_size=32, intermediate_size=47, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=False,
    )  # fmt: skip
    config._attn_implementation = ATTENTION
    torch.manual_seed(0)
    return LanguageModel(Qwen2ForCausalLM(config).eval(), tiny_lm().tokenizer)


def untied(folder: Path) -> None:
    train(folder, untied_lm())


def untied_begun(folder: Path) -> None:
    train(folder, untied_lm(), num_steps=4)


def adapters(folder: Path) -> None:
    """LoRA, activations computed again in the backward pass."""
    lm = tiny_lm()
    lora.attach(lm, LoraRecipe(rank=4, alpha=8.0), seed=1)
    checkpoint_activations(lm, True)
    train(folder, lm)


def narrow(folder: Path) -> None:
    train(folder, tiny_lm(torch.bfloat16))


def narrow_killed(folder: Path) -> None:
    train(folder, tiny_lm(torch.bfloat16), kill_at=5)


def group_batches() -> list[GroupBatch]:
    groups = [TokenGroup([5, 6, 7 + n], [[8, 9, 10], [11, 12], [13, 14, 15, 16]]) for n in range(3)]
    return [batch for group in groups for batch in pack_groups([group], 64)]


def reward(folder: Path) -> None:
    """A model whose head of one row leaves the second process without a part of it."""
    model = heads.from_language_model(tiny_lm(), seed=0)

    def score_loss(lm: Any, batch: GroupBatch) -> tuple[torch.Tensor, dict[str, float]]:
        return (heads.response_scores(lm, batch) - 1).square().sum() / 9, {}

    fit(model, stage(folder), Training(
        optimiser=adamw(), num_steps=3, batches=lambda _: group_batches(),
        loss=score_loss, checkpoint_every=2, description="test",
    ))  # fmt: skip
    save(model, folder / "model")


def reinforce(folder: Path) -> None:
    """RL with a frozen copy as the reference."""
    frozen = tiny_lm()
    frozen.model.requires_grad_(False)
    parallel.shard(frozen, parallel.world())
    _reinforce(folder, tiny_lm(), lambda lm, batch: response_logprobs(frozen, batch))


def reinforce_adapters(folder: Path) -> None:
    """RL with adapters, which are switched off for the reference."""
    lm = tiny_lm()
    lora.attach(lm, LoraRecipe(rank=4, alpha=8.0), seed=1)

    def base_logprobs(lm: LanguageModel, batch: GroupBatch) -> torch.Tensor:
        with lora.reference(lm):
            return response_logprobs(lm, batch)

    _reinforce(folder, lm, base_logprobs)


def _reinforce(folder: Path, lm: LanguageModel, reference: Callable[[LanguageModel, GroupBatch], torch.Tensor]) -> None:
    """What a step of RL does: generate unequal amounts, share the groups, reference without gradient, update."""
    world = parallel.world()
    parallel.shard(lm, world)
    optimiser = Optimiser(lm.model, adamw(), num_steps=3)
    written: list[Any] = []
    for step in range(3):
        prompts = [[3 + step, 4, 5 + n] for n in range(3)]
        mine = list(range(3))[world.rank :: world.size]
        sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=9)
        if parallel.sharded(lm.model):
            try:
                Generator(lm).generate(prompts, sampling, seeds=[[1], [2], [3]])
            except RuntimeError as error:
                assert "within `parallel.unsharded" in str(error)
            else:
                raise AssertionError("generation would have waited for other processes at each token")
        with parallel.unsharded(lm):
            if step == 2:  # asking for the state leaves the weights gathered
                with parallel.full_state(lm):
                    pass
                assert not any(isinstance(p, DTensor) for p in lm.model.parameters())
            completions = Generator(lm).generate(
                [prompts[i] for i in mine], sampling, seeds=[[100 * step + 10 * i, 7 * i + 1] for i in mine]
            )
        responses = parallel.gather([[c.tokens for c in row] for row in completions], world)
        packed = [
            batch
            for prompt, group in zip(prompts, responses, strict=True)
            for batch in pack_groups([TokenGroup(prompt, group)], 64)
        ]
        total, kl, halved = 0.0, 0.0, 0.0
        for batch, counts in parallel.share_of_rank(packed, world):
            with torch.no_grad():
                ref = reference(lm, batch)
            policy = response_logprobs(lm, batch)
            value = -(policy * torch.linspace(-1, 1, len(batch.rows))[:, None]).sum() / 6
            (value if counts else 0 * value).backward()
            optimiser.accumulate()
            # the last pass before the update has no gradient: what it leaves gathered must not outlive the update
            with torch.no_grad():
                again = response_logprobs(lm, batch, temperature=0.5)
            total += counts * value.item()
            kl += counts * (policy - ref).abs().sum().item()
            halved += counts * again.sum().item()
        sums = parallel.add_up({"loss": total, "kl": kl, "halved": halved}, world, lm.device)
        written.append({**sums, "norm": optimiser.step(), "responses": [[list(r) for r in g] for g in responses]})
    if world.is_main:
        folder.mkdir(parents=True)
        (folder / "steps.json").write_text(json.dumps(written))
    save(lm, folder / "model")


PROBLEMS = [
    Problem(id=str(n), question=f"Tom has {n} apples.", answer=str(n + 30), source="toy", split="train")
    for n in range(7)
]
SOLUTIONS = [
    Solution(problem_id=p.id, format="cot", parts=(Part(kind="text", text=f"So x = {p.answer}."),), answer=p.answer)
    for p in PROBLEMS
]
SFT = SFTRecipe(
    formats=("cot",), num_examples=0, context=96, batch_rows=3, num_steps=4, optimiser=adamw(), checkpoint_every=2
)


def sft(folder: Path) -> None:
    """The whole stage, from a model folder to a model folder."""
    fine_tune(
        SFT, stage(folder), model=folder.parent / "start", problems=PROBLEMS, solutions=SOLUTIONS, template="short",
        dtype="float32", seed=0,
    )  # fmt: skip


PRETRAIN = PretrainRecipe(
    mixture=(MixtureRecipe(name="text", path="", weight=1.0),), num_tokens=1536, batch_tokens=256,
    micro_batch_tokens=64, context=32, optimiser=adamw(), heldout_tokens=100, checkpoint_every=2,
)  # fmt: skip


def write_start(folder: Path) -> None:
    """What the stages start from: a model and shards of text."""
    lm = tiny_lm()
    save(lm, folder / "start")
    with ShardWriter(folder / "shards", vocab_size=len(lm.tokenizer), eos_token=lm.tokenizer.eos_token_id) as writer:
        for solution in SOLUTIONS * 9:
            writer.write(encode(lm.tokenizer, solution.parts[0].text), num_bytes=len(solution.parts[0].text))


def pretrain(folder: Path) -> None:
    """The whole stage, held-out text measured before and after."""
    shards = folder.parent / "shards"
    pretraining.run(
        PRETRAIN, stage(folder), model=folder.parent / "start", corpora={"text": shards}, heldout=shards,
        dtype="float32", seed=0,
    )  # fmt: skip


JOBS: dict[str, Callable[[Path], None]] = {
    f.__name__: f
    for f in (
        full,
        untied,
        untied_begun,
        adapters,
        narrow,
        narrow_killed,
        reward,
        reinforce,
        reinforce_adapters,
        sft,
        pretrain,
    )
}


def run(names: str, folder: Path) -> None:
    """Run jobs, comma-separated, each in a folder of its own (`again/full` is the job full in again/full)."""
    for name in names.split(","):
        JOBS[Path(name).name](folder / name.removesuffix("_killed"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(sys.argv[1], Path(sys.argv[2]))
