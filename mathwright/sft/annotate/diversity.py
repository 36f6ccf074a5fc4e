"""Which of the right solutions of a problem are kept: those that solve it in different ways.

Two are the same way where their programs are equal up to names and print the same, or their words have the same
equations. Of the ways left, the next one kept is always the one farthest from those kept, by MinHash.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mathwright.records import Part
from mathwright.sft.conversion.steps import written_steps

NUM_HASHES = 64
_PRIME = (1 << 61) - 1
_RNG = np.random.default_rng(0)
_A, _B = _RNG.integers(1, 2**31, NUM_HASHES).tolist(), _RNG.integers(0, 2**31, NUM_HASHES).tolist()
_ERROR = re.compile(r"^\w*(?:Error|Exception)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A right solution."""

    sample: int
    parts: tuple[Part, ...]


def way_of(parts: Sequence[Part]) -> str:
    """What is equal for two solutions that go the same way."""
    programs = [part.text for part in parts if part.kind == "code"]
    if programs:
        printed = [" ".join(part.text.split()) for part in parts if part.kind == "output"]
        return "\0".join([*map(_without_names, programs), *printed])
    words = "\n".join(part.text for part in parts)
    steps = written_steps(words)
    return repr([(step.expression, step.value) for step in steps]) if steps else " ".join(words.split()).casefold()


def _without_names(code: str) -> str:
    """A program with its own names numbered in the order they come, comments and docstrings aside."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return " ".join(code.split())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    numbers: dict[str, str] = {}

    def number(name: str) -> str:
        return name if name in imported or name in _BUILTINS else numbers.setdefault(name, f"v{len(numbers)}")

    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = number(node.id)
        elif isinstance(node, ast.arg):
            node.arg = number(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.name = number(node.name)
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


_BUILTINS = frozenset(dir(__builtins__) if not isinstance(__builtins__, dict) else __builtins__)


def choose(candidates: Sequence[Candidate], keep: int) -> tuple[list[Candidate], list[Candidate]]:
    """(kept, duplicates): of each way the best one, and of these `keep` (0: all) that differ most.

    The best has the fewest errors, then is the shortest, then was drawn first. In the order of their samples.
    """
    ways: dict[str, Candidate] = {}
    for candidate in sorted(candidates, key=_worth):
        ways.setdefault(way_of(candidate.parts), candidate)
    left = list(ways.values())
    kept: list[Candidate] = []
    hashes = {candidate.sample: minhash(_text(candidate)) for candidate in left}
    while left and (not keep or len(kept) < keep):
        farthest = max(
            left, key=lambda c: min((_distance(hashes[c.sample], hashes[k.sample]) for k in kept), default=1.0)
        )
        kept.append(farthest)
        left.remove(farthest)
    chosen = {candidate.sample for candidate in kept}
    return sorted(kept, key=lambda c: c.sample), [c for c in candidates if c.sample not in chosen]


def _worth(candidate: Candidate) -> tuple[int, int, int]:
    errors = sum(bool(_ERROR.search(part.text)) for part in candidate.parts if part.kind == "output")
    return errors, len(_text(candidate)), candidate.sample


def _text(candidate: Candidate) -> str:
    return "\n".join(part.text for part in candidate.parts if part.kind != "output")


def minhash(text: str) -> np.ndarray:
    """[NUM_HASHES] signature of the set of a text's words, in runs of three; equal shares estimate Jaccard's index."""
    words = re.findall(r"\w+|[^\w\s]", text.casefold())
    grams = {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}
    values = [
        int.from_bytes(hashlib.blake2b(gram.encode("utf-8", "replace"), digest_size=4).digest(), "big")
        for gram in grams
    ]
    return np.array(
        [min((a * value + b) % _PRIME for value in values) for a, b in zip(_A, _B, strict=True)], dtype=np.int64
    )


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return 1.0 - float((one == other).mean())
