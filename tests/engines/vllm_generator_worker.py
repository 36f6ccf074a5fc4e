"""`VllmGenerator` in vLLM's environment: `python -m tests.engines.vllm_generator_worker MODEL STEPS RESULTS`.

STEPS is JSON, a list of steps done one after the other on one generator and one live model; what each found is written
to RESULTS. Nothing here needs pytest.
"""

import json
import random
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mathwright.errors import MathwrightError
from mathwright.lm.generate import Generator
from mathwright.lm.load import load
from mathwright.lm.logprobs import response_logprobs
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import TokenGroup, pack_groups
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.save import save
from mathwright.records import Completion, ToolCall
from tests.engines.vllm_worker import EveryFewCharacters

MAX_BATCH = 4


class InTurn(EveryFewCharacters):
    """A tool that no other thread may call."""

    def run(self, calls: Sequence[ToolCall]) -> list[str]:
        assert threading.current_thread() is threading.main_thread()
        return super().run(calls)


def generated(generator: Any, case: dict[str, Any]) -> list[list[Completion]]:
    """The completions of one call of `generate`; checks what was handed over meanwhile."""
    tool: Any = InTurn(case["tool_output"]) if "tool_output" in case else None
    handed: dict[tuple[int, int], Completion] = {}
    counts: list[int] = []
    rows = generator.generate(
        case["prompts"],
        SamplingRecipe(**case["sampling"]),
        seeds=case["seeds"],
        stop=case.get("stop", ()),
        tool=tool,
        max_tool_rounds=case.get("max_tool_rounds", 0),
        on_finished=counts.append,
        on_completion=lambda i, j, completion: handed.__setitem__((i, j), completion),
    )
    assert handed == {(i, j): completion for i, row in enumerate(rows) for j, completion in enumerate(row)}
    assert sum(counts) == sum(map(len, case["seeds"]))
    assert tool is None or sorted(tool.closed) == list(range(sum(map(len, case["seeds"]))))
    return rows


def interrupted(generator: Any, case: dict[str, Any]) -> str:
    """What comes of a callback that fails while other responses still run."""

    def full(prompt: int, index: int, completion: Completion) -> None:
        raise OSError("no space left")

    try:
        generator.generate(case["prompts"], SamplingRecipe(**case["sampling"]), seeds=case["seeds"], on_completion=full)
    except OSError as error:
        return str(error)
    return ""


def trained(lm: LanguageModel, case: dict[str, Any]) -> None:
    """One step of gradient descent that makes our generator's responses less likely."""
    rows = generated(Generator(lm), case)
    groups = [TokenGroup(p, [c.tokens for c in row]) for p, row in zip(case["prompts"], rows, strict=True)]
    for batch in pack_groups(groups, 1000):
        response_logprobs(lm, batch).mean().backward()
    with torch.no_grad():
        for parameter in lm.model.parameters():
            parameter -= case["rate"] * parameter.grad
            parameter.grad = None


def take(step: dict[str, Any], generator: Any, lm: LanguageModel) -> Any:
    """Do one step."""
    match step["do"]:
        case "generate":
            return [[asdict(completion) for completion in row] for row in generated(generator, step)]
        case "interrupt":
            return interrupted(generator, step)
        case "update":
            lm.model.load_state_dict(load(step["model"], dtype="float32").model.state_dict())
            generator.update_weights(lm.model)
        case "train":
            trained(lm, step)
            generator.update_weights(lm.model)
            save(lm, step["save"])
        case "update with":
            generator.update_weights(load(step["model"], dtype="float32").model)
        case "fill":
            with torch.no_grad():
                lm.model.get_input_embeddings().weight.fill_(step["value"])
            generator.update_weights(lm.model)
        case other:
            raise ValueError(other)
    return None


def main() -> None:
    from mathwright.engines.vllm_generator import VllmGenerator

    model, steps, results = sys.argv[1:]
    before = torch.get_rng_state(), random.getstate()
    generator, lm = VllmGenerator(model, dtype="float32", max_batch=MAX_BATCH), load(model, dtype="float32")
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]
    found = []
    try:
        for step in json.loads(Path(steps).read_text("utf-8")):
            try:
                found.append(take(step, generator, lm))
            except (MathwrightError, ValueError) as error:
                found.append({"error": f"{type(error).__name__}: {error}"})
    finally:
        generator.close()
    Path(results).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
