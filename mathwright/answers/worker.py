"""The process that compares two answers symbolically; its parent (pool.py) kills it when it takes too long.

One JSON object a line: `{"prediction": ..., "reference": ..., "timeout_s": ..., "rel_tolerance": ...}` in,
`{"status": ..., "method": ...}` out.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
from fractions import Fraction

from mathwright.answers.compare import compare
from mathwright.answers.nodes import Node
from mathwright.answers.structure import UnreadableError, parse

READY = "ready"


def serve(memory_bytes: int) -> None:
    """Answer jobs from standard input until it is closed."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What a library prints must not be taken for a reply.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    from mathwright.answers import symbolic

    symbolic.forbid_string_evaluation()
    with contextlib.suppress(symbolic.UnparsableError):
        symbolic.to_sympy(r"\frac{1}{2}+\sqrt{x}")  # loads the grammar
    _limit(memory_bytes)
    print(READY, file=replies, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        _limit_cpu(job["timeout_s"])
        status, method = judge(job["prediction"], job["reference"], job.get("rel_tolerance", 0.0))
        print(json.dumps({"status": status, "method": method}), file=replies, flush=True)
        if method == "memory":
            return


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _limit_cpu(timeout_s: float) -> None:
    """Let the kernel end a job that outlives its parent: inside a long multiplication nobody would notice its death."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + timeout_s) + 2, hard))


def judge(prediction: str, reference: str, rel_tolerance: float = 0.0) -> tuple[str, str]:
    """Status and method of one comparison, expressions worked out."""
    from mathwright.answers import symbolic

    calculator = symbolic.Calculator(Fraction(str(rel_tolerance)))
    try:
        left, right = parse(prediction), parse(reference)
        return ("correct" if compare(left, right, calculator) else "incorrect"), "symbolic"
    except MemoryError:
        return "timeout", "memory"
    except (symbolic.UnparsableError, UnreadableError):
        if not _parses(reference):
            return "unparsable_reference", "none"
        # Both parse, but one holds what cannot be calculated with (words in a matrix, a set as a term).
        return ("incorrect", "undecided") if _parses(prediction) else ("unparsable_prediction", "none")
    except Exception:
        # sympy fails in many ways on odd input (recursion, undefined operations); what it cannot compare is not equal.
        return "incorrect", "undecided"


def _parses(text: str) -> bool:
    """Whether the parser understands every formula in an answer."""
    from mathwright.answers import symbolic

    try:
        for formula in _formulas(parse(text)):
            symbolic.to_sympy(formula)
    except (symbolic.UnparsableError, UnreadableError):
        return False
    return True


def _formulas(node: Node) -> list[str]:
    from mathwright.answers import nodes

    match node:
        case nodes.Formula():
            return [node.text]
        case nodes.Sequence() | nodes.Ratio():
            children = node.items
        case nodes.Interval():
            children = (node.left, node.right)
        case nodes.Combination():
            children = node.parts
        case nodes.Matrix():
            children = tuple(cell for row in node.rows for cell in row)
        case nodes.Named():
            children = (node.value,)
        case nodes.Relation():
            children = tuple(parse(term) for term in node.terms)
        case _:
            children = ()
    return [formula for child in children for formula in _formulas(child)]
