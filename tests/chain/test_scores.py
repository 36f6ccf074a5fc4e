"""What a comparison says of its trainings: floors of accuracy, signal to noise, contamination."""

from pathlib import Path

import numpy as np
import pytest

from mathwright.chain import contamination, fewshot
from mathwright.chain.scores import signal_to_noise
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.lm.shards import TokenShards
from mathwright.pretrain.choices import Choice
from mathwright.pretrain.measures import Questions
from mathwright.pretrain.targets import Target
from mathwright.run import RunDirectory
from tests.chain.compare_worker import SIZES, TEXTS, write_texts


def curve(arm: str, *values: float) -> dict:
    return {"arm": arm, "rate": 0.1, "seed": 0, "points": {"step": [0, 1, 2, 3], "solved/bits": list(values)}}


def test_signal_is_the_range_of_arms_and_noise_the_scatter_of_the_last_points() -> None:
    drawn = [curve("a", 9.0, 1.0, 1.2, 1.1), curve("a", 9.0, 1.1, 1.3, 1.2), curve("b", 9.0, 2.0, 2.1, 1.9)]
    noise = np.mean([np.std([1.0, 1.2, 1.1], ddof=1), np.std([1.1, 1.3, 1.2], ddof=1), np.std([2.0, 2.1, 1.9], ddof=1)])
    assert signal_to_noise(drawn) == {"solved": pytest.approx((1.9 - 1.15) / noise)}
    assert signal_to_noise([curve("a", 9.0, 1.0, 1.1), curve("b", 9.0, 1.0, 1.1)]) == {}, "two points show no scatter"


@pytest.mark.parametrize(
    ("accuracy", "num_problems", "chance", "at_floor"),
    [(0.03, 1319, 0.0, False), (0.01, 1319, 0.0, True), (0.26, 3018, 0.25, True), (0.3, 3018, 0.25, False)],
)
def test_an_accuracy_is_at_the_floor_where_guessing_is_as_good_or_hardly_any_is_right(
    accuracy: float, num_problems: int, chance: float, at_floor: bool
) -> None:
    found = fewshot.floor(accuracy, num_problems, chance)
    assert found["at_floor"] == at_floor
    assert found["interval"][0] <= accuracy <= found["interval"][1]


def test_trainings_of_an_arm_are_one_row_a_task_and_bring_no_new_problems() -> None:
    row = {"task": "sat", "mode": "cot", "num_problems": 100, "chance": 0.25}
    (mean,) = fewshot.mean_rows([row | {"accuracy": 0.4}, row | {"accuracy": 0.6}])
    assert mean["accuracy"] == 0.5 and mean["num_trainings"] == 2
    assert mean["interval"] == fewshot.floor(0.5, 100, 0.25)["interval"]


def test_what_an_arm_has_of_the_problems_it_is_measured_by_is_counted(tmp_path: Path) -> None:
    lm = from_scratch(SIZES, TEXTS, max_length=128, seed=0)
    save(lm, tmp_path / "model")
    solution = "We add seven and nine to get sixteen and then we take away four so that twelve remain."
    question = "Which of these is the largest number that divides both twenty and thirty without rest?"
    write_texts(tmp_path / "dirty", lm, [TEXTS[0], f"Page. {solution} More.", f"Copy: {solution}", question])
    write_texts(tmp_path / "clean", lm, TEXTS[:5])
    questions = Questions(
        targets={"solved": [Target(problem="What is 7 + 9 - 4 in words, if you please?", solution=solution)]},
        choices={"chosen": [Choice(question=question, options=("5", "10"), right=1)]},
    )
    stage = RunDirectory(tmp_path / "run", recipe_name="t", recipe={}).stage("compare")
    corpora = {name: tmp_path / name for name in ("dirty", "clean")}
    index = contamination.index_of(questions, {})
    found = contamination.find(stage, index, corpora, str(tmp_path / "model"))
    nothing = {"documents": 0, "problems": 0}
    assert found["dirty"] == {"solved": {"documents": 2, "problems": 1}, "chosen": {"documents": 1, "problems": 1}}
    assert found["clean"] == {"solved": nothing, "chosen": nothing}
    assert contamination.of_arm(found, ["dirty", "clean"]) == found["dirty"]
    assert TokenShards(tmp_path / "clean").num_documents == 5
