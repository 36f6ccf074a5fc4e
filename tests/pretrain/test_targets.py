"""Worked solutions: read from the layouts of benchmarks, scored behind their problems, split by kinds of text."""

import json
import math
from pathlib import Path

import pytest
import torch

from mathwright.errors import MathwrightError
from mathwright.lm.model import LanguageModel
from mathwright.lm.scratch import from_scratch
from mathwright.lm.tokenise import encode
from mathwright.pretrain.targets import Target, kinds_of, read_targets, score_targets
from tests.pretrain.test_train import SIZES, TEXTS

DATA = Path(__file__).resolve().parents[3] / "shared/data"


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return from_scratch(SIZES, TEXTS, max_length=128, seed=0)


def test_layouts_of_solutions_are_read_without_the_marks_of_one_benchmark(tmp_path: Path) -> None:
    rows = [
        {"question": "How many?", "answer": "He has 3+4=<<3+4=7>>7.\nSo 7.\n#### 7"},
        {"problem": "Find x.", "solution": "It is \\boxed{2}.", "level": "1"},
        {"question": "Which?", "options": ["A)1"], "rationale": "One.", "correct": "A"},
        {"problem": "几?", "answer_analysis": ["三."], "answer_value": "A"},
        {"problem": "no solution"},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_targets(path)
    assert [t.solution for t in found] == ["He has 3+4=7.\nSo 7.", "It is \\boxed{2}.", "One.", "三."]
    assert read_targets(path, limit=2, seed=1) == read_targets(path, limit=2, seed=1)
    path.write_text('{"problem": "only"}\n')
    with pytest.raises(MathwrightError, match="no row with a problem and a solution"):
        read_targets(path)


@pytest.mark.parametrize(
    "name", ["problems/math_test.jsonl.gz", "problems/gsm8k_test.jsonl", "problems/aqua_test.jsonl",
             "chinese/tal_scq5k_ch_test.jsonl.gz"],
)  # fmt: skip
def test_published_files_are_read(name: str) -> None:
    if not (DATA / name).is_file():
        pytest.skip(f"{DATA / name} is not here")
    found = read_targets(DATA / name, limit=100)
    assert len(found) == 100
    assert not any("<<" in target.solution or "####" in target.solution for target in found)


def test_kinds_of_characters() -> None:
    text = r"So $x=1$ and 2+3 is \frac of \(y\)."
    kinds = kinds_of(text)
    by_kind = {kind: "".join(c for c, own in zip(text, kinds, strict=True) if own == kind) for kind in set(kinds)}
    assert by_kind == {"TeX": r"$x=1$\frac\(y\)", "digits": "2+3", "prose": "So  and  is  of ."}


def test_a_solution_is_scored_behind_its_problem_and_its_kinds_add_up(lm: LanguageModel) -> None:
    targets = [Target(problem=TEXTS[i], solution=f"{TEXTS[i + 1]} So $x^2$, é.") for i in range(3)]
    for target, score in zip(targets, score_targets(lm, targets, context=200), strict=True):
        prompt = [lm.tokenizer.eos_token_id, *encode(lm.tokenizer, target.problem + "\n")]
        tokens = [*prompt, *encode(lm.tokenizer, target.solution)]
        with torch.no_grad():
            logits = lm.model(torch.tensor([tokens])).logits[0].log_softmax(-1)
        nats = -sum(float(logits[i, tokens[i + 1]]) for i in range(len(prompt) - 1, len(tokens) - 1))
        assert score.nats == pytest.approx(nats, rel=1e-4)
        assert score.num_bytes == len(target.solution.encode())
        assert sum(nats for nats, _ in score.parts.values()) == pytest.approx(score.nats)
        assert sum(size for _, size in score.parts.values()) == score.num_bytes
        assert score.parts["TeX"][1] >= 5 and score.parts["digits"][1] > 0
        assert score.bits_per_byte == score.nats / math.log(2) / score.num_bytes


def test_what_does_not_fit_is_cut_from_the_left_of_the_problem(lm: LanguageModel) -> None:
    whole = Target(problem=TEXTS[0] * 9, solution=TEXTS[1])
    (score,) = score_targets(lm, [whole], context=64)
    assert score.num_bytes == len(TEXTS[1].encode())
    (cut,) = score_targets(lm, [Target(problem="?", solution=TEXTS[1] * 9)], context=64)
    assert cut.num_tokens == 64 and cut.num_bytes < 9 * len(TEXTS[1])
