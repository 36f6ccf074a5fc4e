"""Formal proofs are judged by a prover of the user's own (§2.3, Table 3: Isabelle): a command that is named.

Samples are drawn and kept without it, unscored; so a prover may be named later, and none is drawn again.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from mathwright.errors import MathwrightError
from mathwright.records import EvalRecord, Problem

TIMEOUT_S = 600.0
"""Sledgehammer may be asked several times in a proof, 120 seconds each in the setting of Jiang et al. (2023)."""
_THEORY = re.compile(r"\btheory\s+(\S+)")
_FENCE = re.compile(r"```(?:isabelle|isar)?[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
_CHEATS = re.compile(
    r"\b(?:sorry|oops|axiomatization|axioms|oracle|quick_and_dirty|(?:ML|SML)\w*|setup|local_setup|code_\w+|end)\b"
)
"""Words with which a text ends the theory, proves nothing, or has the prover run programs."""


def with_proofs(records: Sequence[EvalRecord], command: str, *, num_at_a_time: int = 4) -> list[EvalRecord]:
    """The records, those of theorems with the verdict of `command`.

    The command is given one more argument, the path of a theory (NAME.thy: header, statement, the model's proof, end).
    Exit status 0 says that it is proved, 1 that it is not; any other, and one that takes ten minutes, leave the record
    unscored. A proof with `sorry` or with a command that is no proof is wrong without being run.

    Raises MathwrightError where the command cannot be started.
    """
    words = _words(command)
    asked = [i for i, record in enumerate(records) if record.problem.theorem]
    with ThreadPoolExecutor(num_at_a_time) as threads:
        judged = threads.map(lambda i: _judged(records[i], words), asked)
        found = dict(zip(asked, judged, strict=True))
    return [found.get(i, record) for i, record in enumerate(records)]


def _words(command: str) -> list[str]:
    """The command as its words, of which the first is a program that is there."""
    try:
        words = shlex.split(command)
    except ValueError as error:  # a quotation mark without its other
        raise MathwrightError(f"--proof-checker {command}: {error}", hint="write it as in a shell") from error
    if not words or shutil.which(words[0]) is None:
        raise MathwrightError(
            f"--proof-checker {command}: no such program", hint="name a program that is there, with its path"
        )
    return words


def _judged(record: EvalRecord, command: Sequence[str]) -> EvalRecord:
    proof = proof_of(record.response)
    if not proof:
        status = "unparsable_prediction"
    elif _CHEATS.search(_without_comments(proof)):
        status = "incorrect"
    else:
        status = _checked(record.problem, proof, command)
    verdict = dataclasses.replace(record.verdict, status=status, prediction=proof, method="prover")
    return dataclasses.replace(record, verdict=verdict)


def proof_of(response: str) -> str:
    """The proof in a response: what stands in its fence, or all of it; without a statement that it repeats."""
    fenced = _FENCE.search(response)
    text = (fenced.group(1) if fenced else response).strip()
    start = re.search(r"^\s*(?:proof|by|using|apply|unfolding)\b", text, re.MULTILINE)
    return text[start.start() :].strip() if start else ""


def theory_of(problem: Problem, proof: str) -> tuple[str, str]:
    """Name and text of the theory that has the theorem with this proof."""
    name = _THEORY.search(problem.theorem)
    return name.group(1) if name else "Scratch", f"{problem.theorem.rstrip()}\n{proof}\n\nend\n"


def _without_comments(proof: str) -> str:
    return re.sub(r"\(\*.*?\*\)", " ", proof, flags=re.DOTALL)


def _checked(
    problem: Problem, proof: str, command: Sequence[str]
) -> Literal["correct", "incorrect", "unparsable_reference"]:
    name, text = theory_of(problem, proof)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.thy"
        path.write_text(text, encoding="utf-8")
        try:
            done = subprocess.run(
                [*command, str(path)], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return "unparsable_reference"
        except OSError as error:
            raise MathwrightError(
                f"--proof-checker {shlex.join(command)}: {error}", hint="name a program that is there, with its path"
            ) from error
    if done.returncode not in (0, 1):
        return "unparsable_reference"
    return "correct" if done.returncode == 0 else "incorrect"
