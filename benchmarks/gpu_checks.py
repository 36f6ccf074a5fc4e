"""Checks of what a GPU could compute otherwise than a processor does, each against something simpler.

    python benchmarks/gpu_checks.py --device cuda --results results.jsonl      # all but `sharded`; called by gpu.sh
    python benchmarks/gpu_checks.py --device cpu --only packed resume --results results.jsonl

They need PyTorch and transformers alone, no pytest; `tests/test_gpu.py` runs them under pytest. A check takes a device,
returns the figures it has seen, and raises AssertionError where one is too large, `Skip` where it cannot be made.
"""

from __future__ import annotations

import argparse
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch
from gpu_checks_training import adapters, checkpointed, masters, reference, resume, sharded
from gpu_results import add
from gpu_tiny import CUT, DRAWN, LARGEST, PROMPTS, Skip, close, gradients, relative_gap, responses, tiny, words

from mathwright.lm import generate
from mathwright.lm.attention import ATTENTION
from mathwright.lm.decode import FusedDecoder, decoder
from mathwright.lm.graphs import GraphDecoder
from mathwright.lm.load import LanguageModel
from mathwright.lm.logprobs import next_token_losses, response_logprobs
from mathwright.lm.pack import Example, TokenGroup, pack_examples, pack_groups
from mathwright.lm.sample import draw, uniforms

# --- attention ------------------------------------------------------------------------------------


def alone(lm: LanguageModel, tokens: Sequence[int]) -> torch.Tensor:
    """log p of every token but the first, by transformers' own forward pass with its plainest attention."""
    lm.model.config._attn_implementation = "eager"
    logits = lm.model(input_ids=torch.tensor([tokens], device=lm.device), use_cache=False).logits[0, :-1]
    lm.model.config._attn_implementation = ATTENTION
    targets = torch.tensor(tokens[1:], device=lm.device)
    return logits.float().log_softmax(-1).gather(-1, targets[:, None]).squeeze(-1)


def packed(device: str) -> dict[str, float]:
    """Packed attention, its value and its gradient, against every sequence computed alone without packing."""
    shapes = [(30, (50, 4, 90, 1, 60)), (600, (20, 70)), (1, (40,))]
    groups = [
        TokenGroup(words(i, prompt), [words(10 * i + j + 1, length) for j, length in enumerate(lengths)])
        for i, (prompt, lengths) in enumerate(shapes)
    ]
    sequences = [words(i, length) for i, length in enumerate((300, 7, 90, 65))]
    figures: dict[str, float] = {}
    for dtype in LARGEST:
        lm, kind = tiny(device, dtype), str(dtype).removeprefix("torch.")
        (batch,) = pack_groups(groups, 10_000)
        values = response_logprobs(lm, batch)
        pairs = [(groups[g].prompt, groups[g].responses[i]) for g, i in batch.rows]
        expected = [alone(lm, [*prompt, *response])[len(prompt) - 1 :] for prompt, response in pairs]
        gaps = torch.cat([v[: len(e)] - e for v, e in zip(values, expected, strict=True)])
        close(figures, f"responses_{kind}", gaps, dtype)
        (rows,) = pack_examples([Example(s, [True] * len(s)) for s in sequences], 2000, None)
        losses, plain = next_token_losses(lm, rows), torch.cat([-alone(lm, s) for s in sequences])
        close(figures, f"examples_{kind}", losses - plain, dtype)
        (values.sum() - losses.sum()).backward()
        ours = gradients(lm)
        (torch.cat(expected).sum() - plain.sum()).backward()
        figures[f"gradient_{kind}"] = relative_gap(ours, gradients(lm))
        assert figures[f"gradient_{kind}"] <= (1e-4 if dtype == torch.float32 else 0.05), figures
    return figures


# --- generation -----------------------------------------------------------------------------------


@contextmanager
def without_graphs() -> Iterator[None]:
    """Within it a GPU decodes kernel by kernel, as it does where a graph cannot be recorded."""
    with patch.object(generate, "decoder", FusedDecoder):
        yield


def graphs(device: str) -> dict[str, float]:
    """Decoding with CUDA graphs against the same without: the same tokens, the same log-probabilities.

    In float64, where no rounding can turn a draw: a graph has other shapes, and with them other kernels. In narrower
    types `generation` compares what graphs compute with training.
    """
    lm = tiny(device, torch.float64)
    if not isinstance(decoder(lm.model), GraphDecoder):
        raise Skip("CUDA graphs need a GPU")
    figures: dict[str, float] = {}
    sampling = replace(DRAWN, max_new_tokens=300)  # past the 256 keys of the smallest graph
    for max_batch in (3, 12):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="decoding without CUDA graphs")
            found = responses(lm, sampling, max_batch=max_batch)
        with without_graphs():
            expected = responses(lm, sampling, max_batch=max_batch)
        pairs = [pair for f, e in zip(found, expected, strict=True) for pair in zip(f, e, strict=True)]
        differing = sum(f.tokens != e.tokens for f, e in pairs)
        assert not differing, f"{differing} of {len(pairs)} responses differ at batch {max_batch}"
        gaps = torch.tensor([a - b for f, e in pairs for a, b in zip(f.logprobs, e.logprobs, strict=True)])
        close(figures, f"batch_{max_batch}", gaps, torch.float32)
    return figures


def generation(device: str) -> dict[str, float]:
    """Log-probabilities of drawn tokens: the generator's, on a GPU with CUDA graphs, against those of training."""
    figures: dict[str, float] = {}
    for dtype in LARGEST:
        lm, kind = tiny(device, dtype), str(dtype).removeprefix("torch.")
        for name, sampling in {"": DRAWN, "_cut": CUT}.items():
            found = responses(lm, sampling, max_batch=5)
            groups = [TokenGroup(p, [c.tokens for c in row]) for p, row in zip(PROMPTS, found, strict=True)]
            (batch,) = pack_groups(groups, 10_000)
            with torch.no_grad():
                values = response_logprobs(lm, batch, sampling.temperature)
            drawn = [torch.tensor(found[g][i].logprobs, device=lm.device) for g, i in batch.rows]
            gaps = torch.cat([v[: len(d)] - d for v, d in zip(values, drawn, strict=True)])
            close(figures, kind + name, gaps, dtype)
    return figures


def drawing(device: str) -> dict[str, float]:
    """Tokens drawn from given logits: the same as on the processor."""
    logits = torch.randn(64, 50_000, generator=torch.Generator().manual_seed(0)) * 3
    uniform = uniforms(range(64), [3] * 64)
    figures: dict[str, float] = {}
    for name, sampling in {
        "all": DRAWN,
        "cut": CUT,
        "greedy": replace(DRAWN, temperature=0.0),
    }.items():
        (expected, _), (found, _) = draw(logits, sampling, uniform), draw(logits.to(device), sampling, uniform)
        figures[name] = int((found.cpu() != expected).sum())
        assert figures[name] <= 1, f"{name}: {figures[name]} of 64 tokens differ"  # one may lie on a border
    return figures


CHECKS: dict[str, Callable[[str], dict[str, float]]] = {
    check.__name__: check
    for check in (
        packed, checkpointed, graphs, generation, drawing, resume, masters, adapters, reference, sharded,
    )
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=[name for name in CHECKS if name != "sharded"])
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    failed = []
    for name in options.only:
        began, figures = time.perf_counter(), {}
        try:
            figures, result = CHECKS[name](options.device), "passed"
        except Skip as reason:
            result = f"not made: {reason}"
        except Exception as error:  # the others are to be made all the same
            traceback.print_exc()
            failed.append(name)
            text = str(error).strip().splitlines() or [""]
            result = f"FAILED: {type(error).__name__}: {text[0][:200]}"
        seconds = round(time.perf_counter() - began, 1)
        part = "sharded" if name == "sharded" else "checks"  # it has a process of its own
        add(options.results, part, check=name, result=result, seconds=seconds, found=figures)
        print(name, result, figures, flush=True)
    if failed:
        raise SystemExit(f"{len(failed)} checks failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
