"""Multiple choice as a measure: the probability of the right option, against the definition written out."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from mathwright.lm.model import LanguageModel
from mathwright.lm.scratch import from_scratch
from mathwright.lm.tokenise import encode
from mathwright.pretrain.choices import Choice, ChoiceScore, bits_of_chance, choices_of, score_choices
from mathwright.pretrain.measures import figures, read_scores, unit_of
from mathwright.problems.benchmarks import load_benchmark
from mathwright.records import Problem
from tests.chain.compare_worker import SIZES, TEXTS

CHOICES = [
    Choice(question="What is 2 + 2?", options=("4", "twenty-two", "5"), right=0),
    Choice(question="三加四是多少？", options=("七", "八"), right=1, language="zh"),
]
DATA = Path(__file__).parents[2] / "../shared/data/problems"


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return from_scratch(SIZES, TEXTS, max_length=128, seed=0)


def log_probability(lm: LanguageModel, before: str, text: str) -> float:
    """log p(text | before), token by token."""
    prompt = [lm.tokenizer.eos_token_id, *encode(lm.tokenizer, before, parse_special=False)]
    tokens = encode(lm.tokenizer, text, parse_special=False)
    with torch.no_grad():
        logits = lm.model(torch.tensor([[*prompt, *tokens]])).logits[0].double()
    of_next = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return sum(float(row[token]) for row, token in zip(of_next, tokens, strict=True))


def test_the_score_is_the_probability_of_the_right_option_among_all(lm: LanguageModel) -> None:
    english, chinese = score_choices(lm, CHOICES, context=96)
    logps = [log_probability(lm, "Question: What is 2 + 2?\nAnswer:", f" {o}") for o in CHOICES[0].options]
    right = math.exp(logps[0]) / sum(math.exp(value) for value in logps)
    assert english.nats == pytest.approx(-math.log(right), abs=1e-4)
    by_byte = [value / len(option) for value, option in zip(logps, CHOICES[0].options, strict=True)]
    assert english.is_right == (by_byte[0] == max(by_byte))
    logps = [log_probability(lm, "问题：三加四是多少？\n解答：", option) for option in CHOICES[1].options]
    assert chinese.nats == pytest.approx(-(logps[1] - math.log(sum(map(math.exp, logps)))), abs=1e-4)


def test_figures_of_choices_are_bits_a_question_and_accuracy(lm: LanguageModel) -> None:
    scores = score_choices(lm, CHOICES, context=96)
    found = figures(scores)
    assert found["bits"] == pytest.approx(sum(s.nats for s in scores) / math.log(2) / 2)
    assert found["accuracy"] == sum(s.is_right for s in scores) / 2
    assert unit_of(scores) == "bits per question"
    assert bits_of_chance(scores) == pytest.approx((math.log2(3) + 1) / 2)
    written = {"asked": [{"nats": s.nats, "num_options": s.num_options, "is_right": s.is_right} for s in scores]}
    assert read_scores(written) == {"asked": scores} and isinstance(scores[0], ChoiceScore)


def test_questions_without_one_right_option_are_left_out() -> None:
    given: dict[str, Any] = {"answer": "B", "source": "s", "split": "test"}
    problems = [
        Problem(id="one", question="Which?", choices=("1", "2"), **given),
        Problem(id="two", question="Which ones?", choices=("1", "2"), **{**given, "answer": "AB"}),
        Problem(id="none", question="How many?", **{**given, "answer": "5"}),
    ]
    assert choices_of(problems) == [Choice(question="Which?", options=("1", "2"), right=1)]
    many = [Problem(id=str(i), question=str(i), choices=("1", "2"), **given) for i in range(50)]
    drawn = choices_of(many, limit=7, seed=3)
    assert len(drawn) == 7 and drawn == choices_of(many, limit=7, seed=3) != choices_of(many, limit=7, seed=4)


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")
def test_published_multiple_choice_is_taken_whole() -> None:
    loaded = load_benchmark("mmlu_stem", DATA)
    assert len(choices_of(loaded.problems)) == len(loaded.problems) == 3018
