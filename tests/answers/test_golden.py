"""Our own cases, each with the reason of its verdict, both ways round."""

import json
from pathlib import Path

import pytest

from mathwright.answers import check_answer, check_response, extract_answer

GOLDEN = Path(__file__).parents[1] / "golden"


def _cases(name: str) -> list[dict]:
    return [json.loads(line) for line in (GOLDEN / name).read_text(encoding="utf-8").splitlines()]


def _ids(case: dict) -> str:
    return f"{case['class']}: {case['reason']}"


@pytest.mark.parametrize("case", _cases("answers.jsonl"), ids=_ids)
def test_verdict_and_its_mirror_image(case: dict):
    verdict = check_answer(case["prediction"], case["reference"])
    mirrored = check_answer(case["reference"], case["prediction"])
    assert verdict.correct == case["correct"], verdict
    assert mirrored.correct == case["correct"], mirrored


@pytest.mark.parametrize("case", _cases("answers.jsonl"), ids=_ids)
def test_every_golden_answer_equals_itself(case: dict):
    if case["prediction"] == "\\frac{1}{0}":
        pytest.skip("is no number")
    assert check_answer(case["prediction"], case["prediction"]).correct
    assert check_response(f"So it is $\\boxed{{{case['reference']}}}$.", case["reference"]).correct


@pytest.mark.parametrize("case", _cases("answers_extract.jsonl"), ids=_ids)
def test_extraction(case: dict):
    assert extract_answer(case["text"]) == case["answer"]


def test_the_cases_cover_their_classes():
    cases = _cases("answers.jsonl")
    assert len(cases) >= 150
    both = {(case["class"], case["correct"]) for case in cases}
    assert {name for name, _ in both} == {name for name, correct in both if not correct}, "each class refuses something"
