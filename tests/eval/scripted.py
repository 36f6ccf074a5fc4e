"""An engine that answers from a table, and the files of a small benchmark."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mathwright.engines.engine import Answer, Request
from mathwright.tools.loop import PythonTool


class ScriptedEngine:
    """Answers each request by a function of its prompt and seed; stops, as a killed process does, after `die_after`."""

    name = "scripted"
    tokenizer: Any = None

    def __init__(self, reply: Callable[[str, int], str], *, die_after: int | None = None) -> None:
        self.reply, self.die_after = reply, die_after
        self.asked: list[Request] = []
        self.closed = False

    def generate(
        self,
        requests: Sequence[Request],
        *,
        tool: PythonTool | None,
        max_tool_rounds: int,
        on_completion: Callable[[int, Answer], None],
    ) -> None:
        for index in reversed(range(len(requests))):  # engines finish in an order of their own
            if self.die_after is not None and len(self.asked) >= self.die_after:
                raise ConnectionError("the engine died")
            request = requests[index]
            self.asked.append(request)
            text = self.reply(request.prompt.text, request.seed)
            finish = "length" if text.endswith("...") else "stop"
            on_completion(index, Answer(text=text, finish=finish, num_tokens=len(text), num_tool_calls=0))

    def close(self) -> None:
        self.closed = True


def write_gsm8k(folder: Path, num: int = 6) -> Path:
    """Problem i asks for i + i; the reference is 2 i."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"question": f"What is {i} plus {i}?", "answer": f"It is {2 * i}.\n#### {2 * i}"} for i in range(1, num + 1)
    ]
    (folder / "gsm8k_test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def number_in(prompt: str) -> int:
    """The i of the question."""
    return int(prompt.rsplit("What is ", 1)[1].split()[0])
