"""Runs `VllmEngine` in the environment that has vLLM: `python -m tests.engines.vllm_worker MODEL CASES ANSWERS`.

CASES is JSON: a list of cases, each the arguments of one call of `generate`. Nothing here needs pytest.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mathwright.engines.engine import Answer, Engine, Request
from mathwright.lm.recipe import SamplingRecipe
from tests.engines.asking import prompt


class EveryFewCharacters:
    """A tool a random model calls without knowing it: whenever its text has grown by four characters."""

    def __init__(self, output: str) -> None:
        self.output = output
        self.closed: list[int] = []

    def pending(self, text: str) -> str | None:
        grown = len(text) - (text.rfind(self.output) + len(self.output) if self.output in text else 0)
        return text if grown >= 4 else None

    def run(self, calls: Sequence[Any]) -> list[str]:
        return [self.output for _ in calls]

    def close(self, key: int) -> None:
        self.closed.append(key)


def run_case(engine: Engine, case: dict[str, Any]) -> list[Answer]:
    """The answers to the requests of a case, in their order."""
    requests = [
        Request(
            key=str(place),
            prompt=prompt(asked["text"], stop=tuple(asked.get("stop", ()))),
            seed=asked.get("seed", 0),
            sampling=SamplingRecipe(
                temperature=asked.get("temperature", 0.0),
                top_p=asked.get("top_p", 1.0),
                top_k=asked.get("top_k", 0),
                max_new_tokens=asked["max_new_tokens"],
            ),
        )
        for place, asked in enumerate(case["requests"])
    ]
    found: dict[int, Answer] = {}
    tool: Any = EveryFewCharacters(case["tool_output"]) if "tool_output" in case else None
    engine.generate(
        requests, tool=tool, max_tool_rounds=case.get("max_tool_rounds", 0), on_completion=found.__setitem__
    )
    assert tool is None or sorted(tool.closed) == list(range(len(requests)))
    return [found[place] for place in range(len(requests))]


def main() -> None:
    from mathwright.engines.vllm import VllmEngine

    model, cases, answers = sys.argv[1:]
    engine = VllmEngine(model, dtype="float32")
    try:
        found = [
            [asdict(answer) for answer in run_case(engine, case)] for case in json.loads(Path(cases).read_text("utf-8"))
        ]
    finally:
        engine.close()
    Path(answers).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
