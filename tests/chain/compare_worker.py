"""A small comparison of corpora, in this process or under torchrun: `-m tests.chain.compare_worker INPUTS RUN`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from mathwright.chain.compare import run
from mathwright.lm.model import LanguageModel
from mathwright.lm.recipe import OptimiserRecipe, ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.lm.shards import ShardWriter
from mathwright.lm.tokenise import encode
from mathwright.pretrain.recipe import CompareRecipe, MixtureRecipe, PretrainRecipe
from mathwright.run import RunDirectory

NAMES = ("like", "noise")
TEXTS = [f"The sum of {a} and {b} is {a + b}, and their product is {a * b}." for a in range(12) for b in range(12)]
SIZES = ScratchRecipe(vocab_size=400, width=32, num_layers=2, num_heads=2, num_kv_heads=1, ffn_width=64)
RECIPE = CompareRecipe(
    model=None,
    corpora=tuple(MixtureRecipe(name=name, path="", weight=0.5) for name in NAMES),
    training=PretrainRecipe(
        mixture=(),
        num_tokens=6_144,
        batch_tokens=512,
        micro_batch_tokens=256,
        context=64,
        optimiser=OptimiserRecipe(
            lr=3e-3, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, clip_norm=1.0, warmup_steps=2, decay=()
        ),
        heldout_tokens=1_000,
        checkpoint_every=7,
    ),
)


def write_inputs(folder: Path) -> None:
    """The start model, a corpus like the held-out text, one of its letters in order, and the held-out text."""
    lm = from_scratch(SIZES, TEXTS, max_length=128, seed=0)
    save(lm, folder / "model")
    corpora = {"like": TEXTS[::2] * 3, "noise": ["".join(sorted(text)) for text in TEXTS] * 2, "held": TEXTS[1::2]}
    for name, texts in corpora.items():
        write_texts(folder / name, lm, texts)


def write_texts(folder: Path, lm: LanguageModel, texts: list[str]) -> None:
    """Texts as token shards."""
    with ShardWriter(folder, vocab_size=len(lm.tokenizer), eos_token=lm.tokenizer.eos_token_id) as writer:
        for text in texts:
            writer.write(encode(lm.tokenizer, text), num_bytes=len(text.encode()))


def compare(inputs: Path, out: Path) -> None:
    """Run the stage `compare` of the run in `out`."""
    run(
        RECIPE,
        RunDirectory(out, recipe_name="t", recipe={}).stage("compare"),
        model=inputs / "model",
        corpora={name: inputs / name for name in NAMES},
        heldout=inputs / "held",
        dtype="float32",
        seed=0,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    compare(Path(sys.argv[1]), Path(sys.argv[2]))
