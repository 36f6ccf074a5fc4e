"""What a recipe would do, without doing it (`--dry-run`): what is read and written, steps, tokens, memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mathwright.lm.recipe import OptimiserRecipe, ScratchRecipe
from mathwright.recipe import Recipe
from mathwright.rl.check import check

BYTES_PER_TRAINED_PARAMETER = 16
"""bfloat16 weight 2, what its float32 copy has beside it 2, AdamW moments 8, float32 gradient 4."""
BYTES_PER_FROZEN_PARAMETER = 2
"""bfloat16 weight of a reference or reward model."""
ACTIVATIONS_PER_TOKEN_AND_WIDTH = 34
"""Bytes of one layer's bfloat16 activations per token and unit of width (Korthikanti et al. 2022, eq. 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One part of a recipe, planned."""

    stage: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    num_steps: int
    num_tokens: int
    memory_bytes: int | None
    """Estimated peak per GPU (or per machine for the corpus); None where the architecture is not in the recipe."""
    notes: tuple[str, ...] = ()


def num_parameters(shape: ScratchRecipe, *, tied: bool = False) -> int:
    """Parameters of a Llama-architecture model: embedding and output matrix, attention, gated FFN, RMS norms."""
    head = shape.width // shape.num_heads
    attention = 2 * shape.width * shape.width + 2 * shape.width * shape.num_kv_heads * head
    layer = attention + 3 * shape.width * shape.ffn_width + 2 * shape.width
    return (1 if tied else 2) * shape.vocab_size * shape.width + shape.num_layers * layer + shape.width


def training_bytes(
    shape: ScratchRecipe | None, *, num_gpus: int, micro_batch_tokens: int, frozen: int = 0
) -> int | None:
    """Peak bytes per GPU under full sharding with activation checkpointing; `frozen` counts further whole models.

    Sharded states + the stored input of each layer + one layer's activations, gathered weights and gradients.
    """
    if shape is None:
        return None
    total = num_parameters(shape)
    states = total * (BYTES_PER_TRAINED_PARAMETER + frozen * BYTES_PER_FROZEN_PARAMETER) // num_gpus
    stored = shape.num_layers * micro_batch_tokens * shape.width * 2
    live = ACTIVATIONS_PER_TOKEN_AND_WIDTH * micro_batch_tokens * shape.width
    gathered = 2 * 2 * (total // shape.num_layers)
    return states + stored + live + gathered


def plan(recipe: Recipe, *, num_gpus: int) -> Iterator[Plan]:
    """The plan of each part the recipe has, in the order of the paper.

    Args:
        recipe: what is planned.
        num_gpus: GPUs over which weights, gradients and optimiser state are sharded.

    Raises MathwrightError for an RL part that cannot be trained.
    """
    if recipe.corpus is not None:
        yield _plan_corpus(recipe)
    if recipe.compare is not None:
        shape = (recipe.compare.model or recipe.model).scratch
        training = recipe.compare.training
        steps = training.num_tokens // training.batch_tokens
        yield Plan(
            stage="compare",
            reads=tuple(f"{c.name}: {c.path}" for c in recipe.compare.corpora),
            writes=tuple(f"compare/{c.name}/model" for c in recipe.compare.corpora),
            num_steps=steps * len(recipe.compare.corpora),
            num_tokens=steps * training.batch_tokens * len(recipe.compare.corpora),
            memory_bytes=training_bytes(shape, num_gpus=num_gpus, micro_batch_tokens=training.micro_batch_tokens),
            notes=(f"{len(recipe.compare.corpora)} corpora, {steps:,} steps each", _rates(training.optimiser, steps)),
        )
    if recipe.pretrain is not None:
        part = recipe.pretrain
        steps = part.num_tokens // part.batch_tokens
        yield Plan(
            stage="pretrain",
            reads=(recipe.model.source, *(f"{c.name}: {c.path} ({c.weight:.0%})" for c in part.mixture)),
            writes=("pretrain/model", "pretrain/checkpoints"),
            num_steps=steps,
            num_tokens=steps * part.batch_tokens,
            memory_bytes=training_bytes(
                recipe.model.scratch, num_gpus=num_gpus, micro_batch_tokens=part.micro_batch_tokens
            ),
            notes=(_rates(part.optimiser, steps),),
        )
    if recipe.sft is not None:
        part = recipe.sft
        yield Plan(
            stage="sft",
            reads=("pretrain/model", "problems/solutions.jsonl"),
            writes=("sft/model", "sft/checkpoints"),
            num_steps=part.num_steps,
            num_tokens=part.num_steps * part.batch_rows * part.context,
            memory_bytes=training_bytes(recipe.model.scratch, num_gpus=num_gpus, micro_batch_tokens=part.context),
            notes=(f"{part.batch_rows} rows of {part.context:,} tokens a step", _rates(part.optimiser, part.num_steps)),
        )
    if recipe.reward is not None:
        part = recipe.reward
        samples = part.num_problems * part.responses_per_problem
        steps = part.num_epochs * max(1, round(part.num_problems * (1 - part.heldout_share)) // part.batch_rankings)
        yield Plan(
            stage="reward",
            reads=("sft/model", "problems/train.jsonl"),
            writes=("reward/rankings.jsonl", "reward/model"),
            num_steps=steps,
            num_tokens=samples * part.sampling.max_new_tokens,
            memory_bytes=training_bytes(
                recipe.model.scratch, num_gpus=num_gpus, micro_batch_tokens=part.micro_batch_tokens
            ),
            notes=(f"{samples:,} samples; steps and tokens are upper bounds (equal verdicts are dropped)",),
        )
    if recipe.rl is not None:
        part = recipe.rl
        check(part)
        batch = part.problems_per_step * part.group_size
        yield Plan(
            stage="rl",
            reads=("sft/model", *(("reward/model",) if part.reward == "model" else ()), "problems/train.jsonl"),
            writes=("rl/model", "rl/rollouts.jsonl", "rl/checkpoints"),
            num_steps=part.num_steps,
            num_tokens=part.num_steps * batch * part.sampling.max_new_tokens,
            memory_bytes=training_bytes(
                recipe.model.scratch,
                num_gpus=num_gpus,
                micro_batch_tokens=part.micro_batch_tokens,
                frozen=1 + (part.reward == "model"),
            ),
            notes=(
                f"{part.problems_per_step} questions x G = {part.group_size}: {batch:,} outputs a step",
                "tokens are an upper bound; the cache of the rollouts comes on top of the memory",
                _rates(part.optimiser, part.num_steps),
            ),
        )
    if recipe.eval is not None:
        part = recipe.eval
        answers = part.num_problems + part.num_sampled_problems * part.num_samples
        yield Plan(
            stage="eval",
            reads=("each stage's model", "problems/test.jsonl"),
            writes=("eval/records.jsonl", "eval/table.json"),
            num_steps=0,
            num_tokens=answers * len(part.modes) * part.greedy_max_new_tokens,
            memory_bytes=None if recipe.model.scratch is None else 2 * num_parameters(recipe.model.scratch),
            notes=(f"{answers:,} answers a model and mode, modes {', '.join(part.modes)}; weights only",),
        )


def _plan_corpus(recipe: Recipe) -> Plan:
    part = recipe.corpus
    assert part is not None
    web = {"package_docs": part.web.packages, "archives": part.web.archives, "crawl": part.web.start_urls}[
        part.web.kind
    ]
    kept = part.budget_tokens[-1]
    return Plan(
        stage="corpus",
        reads=web,
        writes=("corpus/documents", f"corpus/shards (about {kept * 4 / 1e9:,.3g} GB)", "corpus/heldout"),
        num_steps=part.max_iterations,
        num_tokens=kept,
        memory_bytes=2 * part.classifier.buckets * part.classifier.dim * 4,
        notes=(
            f"up to {part.max_iterations} iterations, tokens kept {', '.join(f'{b:,}' for b in part.budget_tokens)}",
            "memory: fastText's input matrix while it trains and is quantised or saved",
        ),
    )


def _rates(optimiser: OptimiserRecipe, num_steps: int) -> str:
    drops = "".join(f", x{factor:g} from step {round(share * num_steps):,}" for share, factor in optimiser.decay)
    return f"learning rate {optimiser.lr:g}, warm-up {optimiser.warmup_steps:,} steps{drops}"
