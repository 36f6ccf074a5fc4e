"""Labels of steps by completions: counts, the search for the first wrong step, kill -9, the model trained on them."""

import dataclasses
import json
import signal
from pathlib import Path

import pytest
import torch

from mathwright import answers
from mathwright.errors import MathwrightError
from mathwright.lm.generate import Generator
from mathwright.lm.load import load
from mathwright.lm.model import LanguageModel
from mathwright.lm.recipe import SamplingRecipe, ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.lm.tokenise import encode_prompt
from mathwright.problems.steps import read_rule
from mathwright.problems.templates import Prompt
from mathwright.records import Problem, StepLabels, Verdict, read_jsonl
from mathwright.reward import stage as reward_stage
from mathwright.reward import step_labels
from mathwright.reward.rankings import response_seed
from mathwright.reward.recipe import ProcessRecipe, check
from mathwright.reward.step_labels import Labeller, Search, SteppedResponse, relabelled, rule_labels
from mathwright.run import RunDirectory, read_manifest
from tests import warm
from tests.reward.test_train import RECIPE as OUTCOME

PROBLEMS = [
    Problem(id=f"p{i}", question=f"{i} + {i}", answer=str(2 * i), source="toy", split="train") for i in range(1, 25)
]
SAMPLING = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=6)
PROCESS = ProcessRecipe(steps="tests.reward.test_step_labels:two_characters", max_steps=4, num_completions=4)
RECIPE = dataclasses.replace(
    OUTCOME, kind="process", num_problems=24, sampling=SAMPLING, num_epochs=2, generation_batch=7, process=PROCESS
)


def two_characters(text: str) -> list[int]:
    return [*range(2, len(text), 2), len(text)]


def even(pairs):
    """Right is a response of an even number of characters; one in three of the odd ones cannot be judged."""
    return [
        Verdict(
            status="correct" if len(text) % 2 == 0 else "timeout" if len(text) % 3 == 0 else "incorrect",
            prediction=text,
            reference=answer,
        )
        for text, answer in pairs
    ]


@pytest.fixture(autouse=True)
def judged_by_length(monkeypatch):
    monkeypatch.setattr(answers, "check_responses", even)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    scratch = ScratchRecipe(vocab_size=259, width=32, num_layers=2, num_heads=2, num_kv_heads=1, ffn_width=64)
    folder = tmp_path_factory.mktemp("process") / "model"
    save(from_scratch(scratch, [p.question for p in PROBLEMS], max_length=64, seed=0), folder)
    return folder


def prompts(lm: LanguageModel) -> list[Prompt]:
    return [Prompt(problem=p, mode="cot", text=f"{p.question} =") for p in PROBLEMS[:6]]


def stage(path: Path):
    return RunDirectory(path, recipe_name="toy", recipe={}).stage("reward")


def responses_of(lm: LanguageModel, process: ProcessRecipe, log) -> list[SteppedResponse]:
    return step_labels.sample_responses(process, log, lm, prompts(lm), sampling=SAMPLING, generation_batch=8, seed=3)


def label(lm: LanguageModel, folder: Path, process: ProcessRecipe, batch: int = 5):
    log = stage(folder)
    responses = responses_of(lm, process, log)
    labeller = Labeller(
        recipe=process, lm=lm, prompts=prompts(lm), sampling=SAMPLING, generation_batch=batch, seed=4, sandbox=None
    )
    return responses, labeller.label(responses, log.path, log)


# --- counts ---


def test_counts_are_those_of_completing_each_beginning_on_its_own(model, tmp_path):
    """The plain way: every prefix a prompt of its own, all N completions, one after another."""
    lm = load(model, dtype="float64")
    process = dataclasses.replace(PROCESS, labels="soft")
    responses, records = label(lm, tmp_path / "run", process)
    assert len(records) == len(responses) > 8
    asked = prompts(lm)
    measured = 0
    for place, (response, record) in enumerate(zip(responses, records, strict=True)):
        prompt = encode_prompt(lm.tokenizer, asked[response.place].text)
        wrong_before = False
        for step, last in enumerate(response.step_tokens[:-1]):
            prefix = list(response.tokens[: last + 1])
            seeds = [response_seed(4, place, step, n) for n in range(4)]
            ((*drawn,),) = Generator(lm, max_batch=1).generate([[*prompt, *prefix]], SAMPLING, seeds=[seeds])
            texts = [lm.tokenizer.decode([*prefix, *c.tokens], skip_special_tokens=True) for c in drawn]
            statuses = [verdict.status for verdict in even([(t, "") for t in texts])]
            hits, judged = statuses.count("correct"), len(statuses) - statuses.count("timeout")
            expected = (None, None, None) if wrong_before or not judged else (hits / judged, hits, judged)
            assert (record.labels[step], record.hits[step], record.completions[step]) == expected
            wrong_before |= bool(judged and not hits)
            measured += expected[0] is not None
        last_known = response.finished and response.correct is not None and not wrong_before
        assert record.labels[-1] == (float(bool(response.correct)) if last_known else None)
    assert measured > 8
    assert any(0.0 in r.labels for r in records)


def test_stopping_early_gives_the_same_hard_labels(model, tmp_path):
    lm = load(model, dtype="float64")
    whole = dataclasses.replace(PROCESS, early_stop=False)
    (_, early), (_, all_drawn) = (label(lm, tmp_path / name, recipe) for name, recipe in (("a", PROCESS), ("b", whole)))
    assert [r.labels for r in early] == [r.labels for r in all_drawn]
    assert sum(n or 0 for r in early for n in r.completions) < sum(n or 0 for r in all_drawn for n in r.completions)


def test_one_labelling_gives_hard_and_soft_labels(model, tmp_path):
    lm = load(model, dtype="float64")
    _, soft = label(lm, tmp_path / "run", dataclasses.replace(PROCESS, labels="soft"))
    for record in soft:
        hard = relabelled(record, "hard")
        assert relabelled(hard, "soft") == record
        for share, whole, hits in zip(record.labels, hard.labels, record.hits, strict=True):
            assert whole == (None if share is None else float(share > 0))
            assert (hits is None) == (share is None)


def test_the_size_of_parts_changes_no_label(model, tmp_path):
    lm = load(model, dtype="float64")
    (_, one), (_, other) = (label(lm, tmp_path / str(size), PROCESS, batch=size) for size in (3, 16))
    assert one == other


# --- the search ---


def search(rights: list[bool], **changes) -> tuple[Search, int]:
    """A search that is told which steps are right, and how many steps it looked at."""
    found = Search(dataclasses.replace(PROCESS, **changes), len(rights))
    looked = set()
    while (request := found.request()) is not None:
        looked.add(request.step)
        found.note(request, request.stop - request.first, (request.stop - request.first) * rights[request.step])
    return found, len(looked)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("first", range(9))
def test_the_first_wrong_step_is_found(binary, first):
    rights = [j < first for j in range(8)]
    found, looked = search(rights, binary_search=binary)
    assert found.first_wrong == (first if first < 8 else None)
    assert looked <= (4 if binary else 8)


def test_what_a_search_by_halves_leaves_out_before_the_error_is_right():
    found, _ = search([True] * 5 + [False] * 3, binary_search=True)
    record = found.labels(response(9, correct=True))
    assert record.labels == (1.0,) * 5 + (0.0,) + (None,) * 3
    assert None in record.hits[:5] and record.hits[5] == 0


def test_completions_that_cannot_be_judged_say_nothing_against_a_step():
    found = Search(PROCESS, 2)
    for _ in range(2):
        request = found.request()
        assert request is not None and request.step == 0
        found.note(request, 0, 0)
    request = found.request()
    assert request is not None and request.step == 1  # it goes on
    found.note(request, 1, 1)
    record = found.labels(response(3, correct=None))
    assert record.labels == (None, 1.0, None)
    assert record.completions == (None, 1, None)


def response(num_steps: int, *, correct: bool | None, finished: bool = True) -> SteppedResponse:
    return SteppedResponse(
        place=0, problem_id="p", prompt="Q", tokens=(5,) * num_steps, text="x" * num_steps, finished=finished,
        correct=correct, step_ends=tuple(range(1, num_steps + 1)), step_tokens=tuple(range(num_steps)),
    )  # fmt: skip


def test_a_response_that_was_cut_has_no_final_answer():
    found, _ = search([True, True])
    assert found.labels(response(3, correct=False, finished=False)).labels == (1.0, 1.0, None)
    assert found.labels(response(3, correct=False)).labels == (1.0, 1.0, 0.0)


def test_a_response_of_one_step_is_labelled_by_its_verdict():
    found = Search(PROCESS, 0)
    assert found.request() is None
    assert found.labels(response(1, correct=True)).labels == (1.0,)


def test_labels_by_rule():
    text = "3 + 4 = 7\nsome words\n7 + 1 = 9\nSo \\boxed{9}"
    ends = [9, 20, 30, len(text)]
    assert rule_labels(text, ends, False) == [1.0, None, 0.0, 0.0]
    assert rule_labels(text, ends, True) == [1.0, None, 0.0, 1.0]
    assert rule_labels(text, ends, None) == [1.0, None, 0.0, None]
    assert rule_labels("3 + 4 = 8", [9], True) == [0.0]


# --- the stage ---


def run(path: Path, model: Path, **changes):
    opened = stage(path)
    recipe = dataclasses.replace(RECIPE, **changes)
    reward_stage.run(recipe, opened, model=model, problems=PROBLEMS, template="short", dtype="float32", seed=1)
    manifest = read_manifest(opened.path)
    assert manifest is not None
    return opened, manifest


def test_a_process_model_is_trained_in_a_part_of_the_stage(model, tmp_path):
    opened, manifest = run(tmp_path / "run", model)
    assert manifest["outputs"]["process_model"] == "reward/process/model"
    assert manifest["outputs"]["process_labels"] == "reward/process/labels.jsonl"
    assert read_rule(opened.output("process_model")).by == PROCESS.steps
    found = manifest["summary"]["process"]
    assert found["heldout_loss_after"] < found["heldout_loss_before"]
    assert 0 < found["right_share"] < 1
    assert set(found["best_of_n"]) == {"min", "last", "mean", "product"}
    assert 0 <= found["threshold"] <= 1
    records = list(read_jsonl(opened.output("process_labels"), StepLabels))
    assert len(records) > 20
    assert not (opened.path / "outcome").exists()


def test_both_kinds_have_a_part_each_and_the_outcome_model_is_the_model(model, tmp_path):
    opened, manifest = run(tmp_path / "run", model, kind="both", num_problems=24)
    assert opened.output("model") == opened.path / "outcome" / "model"
    assert opened.output("process_model") == opened.path / "process" / "model"
    alone = read_manifest(opened.path / "outcome")
    assert alone is not None
    assert alone["summary"].items() <= manifest["summary"].items()
    # a part that has finished is not trained again
    before = (opened.path / "outcome" / "manifest.json").stat().st_mtime_ns
    (opened.path / "manifest.json").unlink()
    run(tmp_path / "run", model, kind="both", num_problems=24)
    assert (opened.path / "outcome" / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("labels", ["soft", "rule"])
def test_labels_of_other_kinds_train_too(model, tmp_path, labels, monkeypatch):
    # what a random model writes has no arithmetic in it
    monkeypatch.setattr(step_labels, "arithmetic_holds", lambda line: line[:1] > "P" if line else None)
    process = dataclasses.replace(PROCESS, labels=labels, num_completions=2)
    _, manifest = run(tmp_path / "run", model, process=process, num_epochs=1)
    assert manifest["summary"]["process"]["num_labels"] > 10


def test_published_labels_train_alone(model, tmp_path):
    file = tmp_path / "labels.jsonl"
    rows = [
        {
            "input": f"What is {i}? Step 1: {i} ки\nStep 2: {i} ки",
            "label": f"What is {i}? Step 1: {i} +\nStep 2: {i} {sign}",
        }
        for i, sign in enumerate("+-" * 6)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    process = dataclasses.replace(PROCESS, files=(str(file),))
    _, manifest = run(tmp_path / "run", model, process=process, num_problems=0, num_epochs=1)
    found = manifest["summary"]["process"]
    assert found["num_responses"] + found["num_heldout_responses"] == 12


KILLED = """
import dataclasses, os, signal, sys
from pathlib import Path
from mathwright import answers, files
from mathwright.reward import step_labels
from tests.reward import test_step_labels as t
answers.check_responses = t.even
append, waves = step_labels.append_line, []
def stop(path, line):
    append(path, line)
    waves.append(1)
    if len(waves) == 4:
        with path.open("a") as torn:
            torn.write('{"start": 0, "si')
        os.kill(os.getpid(), signal.SIGKILL)
step_labels.append_line = stop
import torch
torch.set_num_threads(1)
t.run(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_labelling_that_was_killed_goes_on_to_the_same_labels(model, tmp_path, monkeypatch):
    done = warm.run("-c", KILLED, str(tmp_path / "broken"), str(model))
    assert done.returncode == -signal.SIGKILL, done.stderr
    kept = (tmp_path / "broken/reward/process/waves.jsonl").read_text()
    drawn = []
    draw = Labeller._draw
    monkeypatch.setattr(Labeller, "_draw", lambda *a: drawn.append(1) or draw(*a))
    broken, _ = run(tmp_path / "broken", model)
    again = len(drawn)
    whole, _ = run(tmp_path / "whole", model)
    assert again == len(drawn) - again - 4  # four waves were not drawn again
    assert (broken.path / "process/waves.jsonl").read_text().startswith(kept.rpartition("\n")[0])
    for name in ("process/labels.jsonl", "process/waves.jsonl", "process/model/model.safetensors"):
        assert (broken.path / name).read_bytes() == (whole.path / name).read_bytes()


# --- bad input ---


def raising(text):
    raise RuntimeError("no")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": "word"}, "is no kind of step"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"num_completions": 0}, "num_completions is 0"),
        ({"labels": "soft", "early_stop": True}, "early_stop leaves too few completions"),
        ({"labels": "soft", "binary_search": True}, "binary_search leaves too few"),
        ({"responses_per_problem": 0}, "responses_per_problem is 0"),
    ],
)
def test_bad_recipes_are_named(changes, message):
    with pytest.raises(MathwrightError, match=message):
        check(dataclasses.replace(RECIPE, process=dataclasses.replace(PROCESS, **changes)))
    with pytest.raises(MathwrightError, match=r"reward\.process has no part in reward\.kind=outcome"):
        check(dataclasses.replace(RECIPE, kind="outcome"))


def test_steps_that_cannot_be_cut_are_counted_and_nothing_is_trained_on_none(model, tmp_path):
    process = dataclasses.replace(PROCESS, steps="tests.reward.test_step_labels:raising")
    with pytest.raises(MathwrightError, match="labels of the steps are none at all"):
        run(tmp_path / "run", model, process=process)


@pytest.mark.parametrize("status", ["correct", "incorrect"])
def test_labels_that_are_all_the_same_teach_nothing(model, tmp_path, monkeypatch, status):
    def check_all(pairs):
        return [Verdict(status=status, prediction=t, reference=a) for t, a in pairs]

    monkeypatch.setattr(answers, "check_responses", check_all)
    with pytest.raises(MathwrightError, match=f"are all {int(status == 'correct')}: there is nothing to tell apart"):
        run(tmp_path / "run", model)
