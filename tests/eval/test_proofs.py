"""Formal proofs: a prover that the user names judges them; without one they are unscored."""

import sys
from pathlib import Path

import pytest

from mathwright.errors import MathwrightError
from mathwright.eval.proofs import proof_of, with_proofs
from mathwright.eval.table import tabulate
from mathwright.judge import judge
from mathwright.problems.prompts import build_prompt
from mathwright.records import EvalRecord, Problem

THEOREM = 'theory Sums imports Main\nbegin\n\ntheorem sum:\n  shows "1 + 1 = (2::nat)"'
PROBLEM = Problem(id="a", question="Formal:", answer="", source="minif2f", split="test", theorem=THEOREM)
CHECKER = """
import pathlib, sys
path = pathlib.Path(sys.argv[-1])
text = path.read_text()
assert path.name == "Sums.thy" and text.startswith("theory Sums") and text.rstrip().endswith("end")
sys.exit(7 if "crash" in text else "by simp" not in text)
"""


def record(response: str) -> EvalRecord:
    prompt = build_prompt(PROBLEM, "cot", template="plain", shots=1, exemplars="proof_isabelle", tokenizer=None)
    return EvalRecord(
        model="m", task="minif2f", mode="cot", problem=PROBLEM, sample=-1, prompt=prompt.text, response=response,
        verdict=judge(prompt, response, sandbox=None), finish="stop", num_tokens=5,
    )  # fmt: skip


@pytest.fixture
def checker(tmp_path: Path) -> str:
    path = tmp_path / "check.py"
    path.write_text(CHECKER)
    return f"{sys.executable} -S {path}"


def test_without_a_prover_proofs_are_unscored() -> None:
    (row,) = tabulate([record("by simp")], 0)
    assert row["unscored"] == 1 and row["num_problems"] == 0


@pytest.mark.parametrize(
    ("response", "status"),
    [
        ("by simp", "correct"),
        ("\nproof -\n  show ?thesis by simp\nqed", "correct"),
        ('Here it is:\n```isabelle\ntheorem sum: shows "..."\n  by simp\n```\nDone.', "correct"),
        ("by auto", "incorrect"),
        ("proof -\n  show ?thesis by simp sorry\nqed", "incorrect"),
        ("by simp ML \\<open>OS.Process.exit 0\\<close>", "incorrect"),
        ("by simp\nend\ntheory Other", "incorrect"),
        ("by simp (* the end is near, sorry *)", "correct"),
        ("I cannot prove this.", "unparsable_prediction"),
        ("by crash", "unparsable_reference"),
    ],
)
def test_the_prover_is_asked_for_each_proof_but_those_that_cheat(response: str, status: str, checker: str) -> None:
    (judged,) = with_proofs([record(response)], checker)
    assert judged.verdict.status == status


def test_other_records_stay_as_they_are_and_a_prover_that_is_not_there_is_named(checker: str) -> None:
    proof = record("by simp")
    other = Problem(id="b", question="?", answer="2", source="gsm8k", split="test")
    kept = EvalRecord(**{**{n: getattr(proof, n) for n in EvalRecord.__slots__}, "problem": other})
    assert with_proofs([kept, proof], checker)[0] is kept
    with pytest.raises(MathwrightError, match="--proof-checker /no/such/prover"):
        with_proofs([proof], "/no/such/prover")


def test_a_proof_begins_where_its_method_does() -> None:
    assert proof_of("Let us see.\n  proof (induct n)\n  qed") == "proof (induct n)\n  qed"
    assert proof_of("") == ""


@pytest.mark.parametrize("command", ["/no/such/prover --now", "'isabelle process", "  "])
def test_a_prover_that_cannot_be_started_is_named_before_any_sample_is_drawn(command: str) -> None:
    with pytest.raises(MathwrightError, match="--proof-checker"):
        with_proofs([], command)
