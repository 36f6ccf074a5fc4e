"""Whether programs give the answers they should: each is run in the sandbox, and judged as any answer is; and whether
they compute them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from mathwright.answers import check_answer
from mathwright.records import Part
from mathwright.tools.loop import program_answer
from mathwright.tools.sandbox import Execution, Sandbox

TIMEOUT_S = 10.0
HARD_CODED = "hard-coded answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What running a program came to."""

    reason: str
    """Why it is not to be kept; "" where it gives the answer."""
    printed: str
    """Its answer: the last line it printed, or its last value; "" where there is none."""


def run_programs(programs: Sequence[tuple[str, str]], sandbox: Sandbox) -> list[Outcome]:
    """Run programs, given as (code, reference answer), side by side; "" for a reference nobody knows.

    Raises MathwrightError where the sandbox cannot run.
    """
    executions = sandbox.run_many([code for code, _ in programs], timeout_s=TIMEOUT_S)
    return [_outcome(execution, reference) for (_, reference), execution in zip(programs, executions, strict=True)]


def _outcome(execution: Execution, reference: str) -> Outcome:
    if execution.status == "timeout":
        return Outcome(reason="program timeout", printed="")
    if execution.status != "ok":
        return Outcome(reason="program failed", printed="")
    printed = (program_answer(execution) or "").strip()
    if not printed:
        return Outcome(reason="program prints nothing", printed="")
    if reference and not check_answer(printed, reference).correct:
        return Outcome(reason="program gives another answer", printed=printed)
    return Outcome(reason="", printed=printed)


def is_hard_coded(parts: Sequence[Part], answer: str) -> bool:
    """Whether the programs of a solution only print what they are given: no operation, no loop, no call but print and
    its like, and the answer among their constants. False where there is no program."""
    constants: list[str] = []
    for code in (part.text for part in parts if part.kind == "code"):
        try:
            tree = ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
        for node in ast.walk(tree):
            if isinstance(node, ast.BinOp | ast.AugAssign | ast.For | ast.While | ast.comprehension):
                return False
            if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in _SHOWS):
                return False
            if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
                constants.append(f"-{node.operand.value}")
            if isinstance(node, ast.Constant) and not isinstance(node.value, bool | type(None)):
                constants.append(str(node.value))
    return any(check_answer(constant.strip(), answer).correct for constant in constants[:50])


_SHOWS = frozenset({"print", "str", "int", "float", "round", "repr", "format", "Fraction"})
