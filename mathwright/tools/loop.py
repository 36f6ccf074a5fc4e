"""The loop of tool-integrated reasoning (§3.1): the model writes a program, reads what it printed, writes on.

A program is a ```python block; behind it the tool inserts an ```output block. Variables persist over the blocks of one
response, as in a notebook.
"""

from __future__ import annotations

from collections.abc import Sequence

from mathwright.records import ToolCall
from mathwright.tools.execute import clip
from mathwright.tools.fences import FenceReader
from mathwright.tools.sandbox import Execution, Program, Sandbox

_PYTHON = frozenset({"python", "py", "python3"})
TAIL_CHARS = 256  # a fence and the blank lines that one token may put behind it


class PythonTool:
    """Runs the programs in responses; a `mathwright.lm.generate.Tool`.

    State between the blocks of a response is made anew: a block runs behind the earlier ones of its response, which are
    repeated without their output, in a fresh process. Processes kept for a thousand responses at a time would hold
    15 GB, and as much as the programs like beyond that, while short programs cost milliseconds to repeat. The price: a
    response with slow blocks pays for them again each time, and a block that looked at the clock may see another time.
    """

    def __init__(self, sandbox: Sandbox, *, timeout_s: float = 5, max_output_chars: int = 512) -> None:
        """Run in `sandbox`, each block for at most `timeout_s`, and show the model `max_output_chars` of its output."""
        self._sandbox = sandbox
        self._timeout_s = timeout_s
        self._max_output_chars = max_output_chars
        self._earlier: dict[int, tuple[str, ...]] = {}
        self._reader = FenceReader()

    def pending(self, text: str) -> str | None:
        """The program to run: that of the ```python block `text` ends with, the line behind its fence begun.

        Of two blocks that one token finished the second is run. Called for every token, it costs what was added.
        """
        if not text.endswith("\n") or not text[-TAIL_CHARS:].rstrip().endswith("```"):
            return None
        block = self._reader.closed_at_end(text)
        return block.text if block is not None and block.language in _PYTHON else None

    def run(self, calls: Sequence[ToolCall]) -> list[str]:
        """Run programs of different responses side by side; the ```output block to insert behind each.

        Responses to one question often hold the same program. It is run once for all of them: what it prints is a
        function of its text (`tools.sandbox`).
        """
        programs = [self._program(call) for call in calls]
        distinct = list(dict.fromkeys(programs))
        done = dict(zip(distinct, self._sandbox.run_many(distinct, timeout_s=self._timeout_s), strict=True))
        executions = [done[program] for program in programs]
        for call, execution in zip(calls, executions, strict=True):
            if execution.survived:  # one that had to be killed left no state, and would be killed again
                self._earlier[call.key] = (*self._earlier.get(call.key, ()), call.code)
        return [self._block(execution) for execution in executions]

    def _program(self, call: ToolCall) -> Program:
        earlier = self._earlier.get(call.key, ())
        return Program(code=call.code, setup=earlier, setup_timeout_s=self._timeout_s * len(earlier))

    def close(self, key: int) -> None:
        """The response is finished: forget its blocks."""
        self._earlier.pop(key, None)

    def _block(self, execution: Execution) -> str:
        # A fence in the output would end the block.
        shown = clip(tool_output(execution), self._max_output_chars).replace("```", "'''")
        return f"```output\n{shown}\n```\n" if shown else "```output\n```\n"


def tool_output(execution: Execution) -> str:
    """What a model sees of an execution: what was printed, or else the last value; behind it the error's last line."""
    shown = execution.stdout.rstrip()
    if not shown and execution.value is not None:
        shown = execution.value
    error = execution.error.rstrip().rsplit("\n", 1)[-1] if execution.error is not None else ""
    return "\n".join(part for part in (shown, error) if part)


def program_answer(execution: Execution) -> str | None:
    """The answer a program gives: the last line it printed, or else its last value; None after an error."""
    if execution.status != "ok":
        return None
    lines = execution.stdout.strip().splitlines()
    return lines[-1].strip() if lines else execution.value
