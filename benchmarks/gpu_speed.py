"""Figures of `gpu.sh`: tokens a second in generation, and speed and memory of pre-training.

    python benchmarks/gpu_speed.py generation --models FOLDER --device cuda --results results.jsonl
    python benchmarks/gpu_speed.py pretrain --models FOLDER --device cuda --results results.jsonl

FOLDER holds the models of `gpu_models.py`. On a CPU (`--device cpu`) sizes are such that it all takes seconds.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from clock import synchronise
from gpu_models import SHAPES, sizes, stand_in
from gpu_results import add

stand_in()

import torch  # noqa: E402

from mathwright.lm import generate  # noqa: E402
from mathwright.lm.activations import checkpoint_activations  # noqa: E402
from mathwright.lm.decode import FusedDecoder  # noqa: E402
from mathwright.lm.generate import Generator  # noqa: E402
from mathwright.lm.load import LanguageModel, load  # noqa: E402
from mathwright.lm.logprobs import next_token_losses  # noqa: E402
from mathwright.lm.optimise import Optimiser  # noqa: E402
from mathwright.lm.pack import Example, pack_examples  # noqa: E402
from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe  # noqa: E402

PEAK_TFLOPS = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "L4": 121}
"""Dense bfloat16 products, by the vendor's data sheets (of the SXM boards), by a part of the GPU's name."""
ADAMW = OptimiserRecipe(
    lr=1e-5, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, clip_norm=1.0, warmup_steps=0, decay=()
)
PROMPT = 64
"""Tokens of a prompt in generation."""


def timed(work: Callable[[], object], device: str) -> float:
    synchronise(device)
    began = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - began


def peak_memory_gb(device: str) -> float | None:
    """The most that tensors have taken since the last reset; None on a CPU."""
    return round(torch.cuda.max_memory_allocated() / 1e9, 2) if device == "cuda" else None


# --- generation -----------------------------------------------------------------------------------


def generation(options: argparse.Namespace) -> None:
    """Groups of 8, temperature 1, nothing cut off; no sequence may stop early."""
    on_gpu = options.device == "cuda"
    batches, new = ((8, 32, 128, 256), 128) if on_gpu else ((8, 16), 8)
    for name in SHAPES:
        lm = endless(load(options.models / name, dtype="bfloat16", device=options.device))
        for batch in batches:
            seconds = {"graphs": times(lm, batch, new, options.device)} if on_gpu else {}
            with patch.object(generate, "decoder", FusedDecoder):
                seconds["kernels"] = times(lm, batch, new, options.device)
            rates = {how: [round(batch * new / s, 1) for s in each] for how, each in seconds.items()}
            middle = {how: statistics.median(each[1:]) for how, each in rates.items()}
            row = {"model": name, "batch": batch, "prompt_tokens": PROMPT, "new_tokens": new}
            if on_gpu:
                row |= {"graphs": middle["graphs"], "graphs_first_call": rates["graphs"][0]}
            row |= {"kernels": middle["kernels"]}
            if on_gpu:
                row |= {"ratio": round(middle["graphs"] / middle["kernels"], 2)}
            add(options.results, "generation", **row)
            print(name, batch, rates, flush=True)


def endless(lm: LanguageModel) -> LanguageModel:
    """The model without end tokens: all sequences are to be equally long."""
    lm.tokenizer.eos_token = None
    lm.model.generation_config.eos_token_id = lm.model.config.eos_token_id = None
    return lm


def times(lm: LanguageModel, batch: int, new: int, device: str) -> list[float]:
    """Seconds of three calls, what they record included; the first also loads kernels."""
    sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=new)
    rng = random.Random(0)
    prompts = [[rng.randrange(300) for _ in range(PROMPT)] for _ in range(batch // 8)]
    seeds = [[8 * p + g for g in range(8)] for p in range(len(prompts))]
    generator = Generator(lm, max_batch=batch)
    return [timed(lambda: generator.generate(prompts, sampling, seeds=seeds), device) for _ in range(3)]


# --- pre-training ---------------------------------------------------------------------------------


def pretrain(options: argparse.Namespace) -> None:
    """Steps of AdamW on rows of random tokens, as `mathwright.pretrain.training` makes them from a corpus."""
    lengths, step_tokens, micro_tokens = (
        ((512, 2048, 4096, 8192), 65_536, 16_384) if options.device == "cuda" else ((64, 128), 512, 256)
    )
    for name in SHAPES:
        for checkpointing in (False, True):
            lm = load(options.models / name, dtype="bfloat16", device=options.device)
            lm.model.train()
            checkpoint_activations(lm, checkpointing)
            optimiser = Optimiser(lm.model, ADAMW, num_steps=100)
            for length in lengths:
                row: dict[str, Any] = {"model": name, "layers_again": checkpointing, "length": length}
                try:
                    seconds = one_length(lm, optimiser, length, step_tokens, micro_tokens, options.device)
                except torch.OutOfMemoryError:
                    optimiser.zero_grad()
                    add(options.results, "pretrain", **row, result="out of memory")
                    continue
                rate = step_tokens / seconds
                flops = flops_a_token(name, length, options.device) * rate
                peak = peak_tflops() if options.device == "cuda" else None
                row |= {"tokens_per_s": round(rate), "TFLOPs": round(flops / 1e12, 4)}
                row |= {
                    "MFU": round(flops / peak / 1e12, 3) if peak else None,
                    "peak_GB": peak_memory_gb(options.device),
                }
                add(options.results, "pretrain", **row)
                print(row, flush=True)
            del lm, optimiser


def one_length(
    lm: LanguageModel, optimiser: Optimiser, length: int, step_tokens: int, micro_tokens: int, device: str
) -> float:
    """Seconds of a step, the median of three after one of warm-up; memory is counted from here on."""
    rng = random.Random(length)
    vocabulary = lm.model.config.vocab_size
    rows = [[rng.randrange(vocabulary) for _ in range(length + 1)] for _ in range(step_tokens // length)]
    examples = [Example(row, [False, *[True] * length]) for row in rows]
    batches = pack_examples(examples, length + 1, None, rows_per_batch=max(1, micro_tokens // length))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()

    def step() -> None:
        for batch in batches:
            (next_token_losses(lm, batch).sum() / step_tokens).backward()
            optimiser.accumulate()
        optimiser.step()

    seconds = [timed(step, device) for _ in range(4)]
    return statistics.median(seconds[1:])


def flops_a_token(name: str, length: int, device: str) -> float:
    """Of forward and backward pass: 6 a weight that multiplies, and 6 layers x width x length for causal attention.

    What is computed again under activation checkpointing is not counted, as is usual for MFU.
    """
    shape = sizes(name, device)
    width, layers, ffn = shape["hidden_size"], shape["num_hidden_layers"], shape["intermediate_size"]
    keys = width * shape["num_key_value_heads"] // shape["num_attention_heads"]
    weights = layers * (2 * width * width + 2 * width * keys + 3 * width * ffn) + shape["vocab_size"] * width
    return 6 * weights + 6 * layers * width * length


def peak_tflops() -> float | None:
    name = torch.cuda.get_device_name()
    return next((rate for part, rate in PEAK_TFLOPS.items() if part in name), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("generation", "pretrain"))
    parser.add_argument("--models", type=Path, required=True, help="folder of gpu_models.py")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    {"generation": generation, "pretrain": pretrain}[options.what](options)


if __name__ == "__main__":
    main()
