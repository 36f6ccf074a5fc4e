"""Which problems are found in a corpus, however it is laid out, and which are not."""

import json
import random
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mathwright.corpus.decontaminate.contamination import (
    Contamination,
    QuestionIndex,
    contamination,
    find_contaminated,
    write_contamination,
)
from mathwright.corpus.decontaminate.grams import grams
from mathwright.errors import MathwrightError
from mathwright.problems.benchmarks import load_benchmark
from mathwright.records import Problem, read_jsonl

CLIPS = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
DUCKS = "Janet's ducks lay 16 eggs per day and she eats three for breakfast every morning before work, doesn't she?"
SHORT = "What is Ada Lovelace's birthday?"
FILLER = "On the road to the mountains we met a shepherd who told us of the weather and of his sheep. "


def problem(question: str, number: int = 0, task: str = "gsm8k", answer: str = "72") -> Problem:
    return Problem(id=f"{task}-{number}", question=question, answer=answer, source=task, split="test")


def ids(problems: list[Problem], *texts: str) -> list[tuple[str, str]]:
    found = find_contaminated(problems, [(f"page{i}", text) for i, text in enumerate(texts)])
    return [(f.problem_id, f.url) for f in found]


def test_a_question_is_found_where_it_stands_and_nowhere_else() -> None:
    problems = [problem(CLIPS, 0), problem(DUCKS, 1), problem(SHORT, 2)]
    wrapped = textwrap.fill(CLIPS.replace(",", " --").upper(), 25, initial_indent="> ", subsequent_indent="> ")
    texts = [FILLER, FILLER + "\n" + wrapped + "\n" + FILLER, "Quiz: what is Ada Lovelace’s  birthday!", FILLER * 9]
    assert ids(problems, *texts) == [("gsm8k-0", "page1"), ("gsm8k-2", "page2")]


def test_ten_grams_are_enough_and_nine_are_not() -> None:
    words = CLIPS.split()
    assert ids([problem(CLIPS)], FILLER + " ".join(words[3:13]) + " but " + FILLER) == [("gsm8k-0", "page0")]
    assert ids([problem(CLIPS)], FILLER + " ".join(words[3:12]) + " but " + FILLER) == []


def test_an_answer_alone_is_no_evidence() -> None:
    answer = "the number of clips that she sold in April and in May was seventy-two altogether"
    assert ids([problem(CLIPS, answer=answer)], f"Indeed {answer}.") == []


def test_a_question_that_several_benchmarks_have_is_found_in_all_of_them() -> None:
    hard = CLIPS.replace("48", "4,800,231")
    problems = [problem(CLIPS, 0), problem(CLIPS, 1, "copy"), problem(hard, 2, "gsm_hard"), problem(DUCKS, 3)]
    found = list(find_contaminated(problems, [("u", FILLER + CLIPS)]))
    assert [(f.task, f.problem_id) for f in found] == [
        ("gsm8k", "gsm8k-0"),
        ("copy", "copy-1"),
        ("gsm_hard", "gsm_hard-2"),
    ]
    assert found[0].share == found[1].share == 1.0
    # all of the question but its first six grams ("Natalia" to the number) stands there
    assert found[2].share == pytest.approx(1 - 5 / len(grams(hard)), abs=0.02) and found[2].share < 1
    assert found[0].matched == CLIPS.rstrip("?")


def test_the_share_counts_what_stands_in_the_document_once() -> None:
    words = DUCKS.split()
    half = " ".join(words[:10])
    [found] = find_contaminated([problem(DUCKS)], [("u", f"{half}. {FILLER} {half}.")])
    assert found.share == pytest.approx(len(grams(half)) / len(grams(DUCKS)))
    assert found.matched == half


def test_stretches_far_apart_are_added_up() -> None:
    words = CLIPS.split()
    first, second = " ".join(words[:11]), " ".join(words[14:])
    [found] = find_contaminated([problem(CLIPS)], [("u", f"{first} {FILLER} {second} {FILLER}")])
    assert found.share == pytest.approx((len(grams(first)) + len(grams(second))) / len(grams(CLIPS)))
    assert found.matched == second.rstrip("?"), "the longer one"


def test_another_text_between_two_stretches_is_not_counted() -> None:
    one, two, other, inserted = (" ".join(f"{c}{c}{d}" for d in "abcdefghijkl") for c in "pqrs")
    problems = [problem(f"{one} {other} {two}", 0), problem(f"{one} {inserted} {two}", 1)]
    shares = {f.problem_id: f.share for f in find_contaminated(problems, [("u", f"{one} {inserted} {two}")])}
    assert shares == pytest.approx({"gsm8k-0": 2 / 3, "gsm8k-1": 1.0})


def test_a_short_question_inside_a_long_one_does_not_stand_for_it() -> None:
    problems = [problem(f"{CLIPS} {SHORT}", 0), problem(SHORT, 1)]
    assert ids(problems, SHORT) == [("gsm8k-1", "page0")]
    assert ids(problems, f"{CLIPS} {SHORT}") == [("gsm8k-0", "page0"), ("gsm8k-1", "page0")]


def brute_force(problems: list[Problem], text: str, n: int) -> dict[str, float]:
    """Share of each question's grams inside an n-gram that the text has; by comparing all with all."""
    page = grams(text)
    shares = {}
    for one in problems:
        question = grams(one.question)
        covered = [False] * len(question)
        for i in range(len(question) - n + 1):
            if any(page[j : j + n] == question[i : i + n] for j in range(len(page))):
                covered[i : i + n] = [True] * n
        if any(covered):
            shares[one.id] = sum(covered) / len(question)
    return shares


@pytest.mark.parametrize("seed", range(20))
def test_findings_are_those_of_comparing_every_window(seed: int) -> None:
    rng = random.Random(seed)
    alphabet = ["one", "two", "three"]  # so few words that windows meet by chance, several times and overlapping
    problems = [problem(" ".join(rng.choices(alphabet, k=rng.randint(5, 30))), i) for i in range(12)]
    text = " ".join(rng.choices([*alphabet, "other"], k=400))
    found = {f.problem_id: f.share for f in find_contaminated(problems, [("u", text)], ngram=5)}
    assert found == pytest.approx(brute_force(problems, text, 5))


def test_a_question_too_short_to_identify_is_named_and_never_found() -> None:
    problems = [problem("Compute $2 + 2$.", 0), problem(CLIPS, 1)]
    assert [p.id for p in QuestionIndex(problems).too_short] == ["gsm8k-0"]
    assert ids(problems, "Compute $2 + 2$.") == []


def test_no_problem_and_no_text() -> None:
    assert ids([], CLIPS) == []
    assert ids([problem("")], CLIPS) == []
    assert ids([problem(CLIPS)], "", "\ud800", "\x00") == []


# --- files ---------------------------------------------------------------------------------------


def write_jsonl(path: Path, texts: list[str]) -> None:
    path.write_text("".join(json.dumps({"text": text, "id": f"http://{i}/"}) + "\n" for i, text in enumerate(texts)))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b'{"text": "fine"}\n{"txt": "no"}\n', r"a\.jsonl:2: no field `text`"),
        ("a.jsonl", b'{"text": 3}\n', r"a\.jsonl:1: no field"),
        ("a.jsonl", b'{"text": "cut', r"a\.jsonl:1: not JSON"),
        ("a.jsonl.gz", b"\x1f\x8b\x08 cut", "cannot be read"),
        ("a.parquet", b"PAR1", "not a Parquet file"),
        ("a.zip", b"", "no corpus file"),
        ("missing", None, "no such corpus"),
    ],
)
def test_a_broken_corpus_is_named_and_nothing_is_written(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MathwrightError, match=said):
        contamination(tmp_path / name, [problem(CLIPS)], tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_problems_are_counted_once_by_task_and_findings_written_for_each_document(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "c.jsonl", [CLIPS, FILLER, CLIPS + SHORT])
    problems = [problem(CLIPS), problem(SHORT, task="trivia"), problem(DUCKS, task="ducks")]
    seen: list[str] = []
    counts = contamination(
        tmp_path / "c.jsonl", problems, tmp_path / "out.jsonl", on_text=lambda url, text: seen.append(url)
    )
    assert counts == {"gsm8k": 1, "trivia": 1, "ducks": 0}
    assert seen == ["http://0/", "http://1/", "http://2/"]
    findings = list(read_jsonl(tmp_path / "out.jsonl", Contamination))
    assert [(f.task, f.url) for f in findings] == [
        ("gsm8k", "http://0/"),
        ("gsm8k", "http://2/"),
        ("trivia", "http://2/"),
    ]


def test_a_least_share_leaves_phrases_out(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "c.jsonl", [" ".join(CLIPS.split()[:12]), DUCKS])
    problems = [problem(CLIPS, 0), problem(DUCKS, 1)]
    assert contamination(tmp_path / "c.jsonl", problems, tmp_path / "all") == {"gsm8k": 2}
    assert contamination(tmp_path / "c.jsonl", problems, tmp_path / "most", min_share=0.5) == {"gsm8k": 1}
    assert [f.problem_id for f in read_jsonl(tmp_path / "most", Contamination)] == ["gsm8k-1"]


def test_findings_survive_writing_and_reading(tmp_path: Path) -> None:
    broken = CLIPS.replace("April,", "April\ud800,")
    found = list(find_contaminated([problem(CLIPS)], [("http://ü\udc00/", broken)]))
    assert len(found) == 1
    assert write_contamination(tmp_path / "f.jsonl", iter(found)) == 1
    assert list(read_jsonl(tmp_path / "f.jsonl", Contamination)) == found


def test_planted_questions_of_gsm8k_are_found_and_no_others(tmp_path: Path, shared_data: Path) -> None:
    problems = load_benchmark("gsm8k", shared_data).problems
    rng = np.random.default_rng(0)
    planted = [problems[int(i)] for i in rng.choice(len(problems), 3, replace=False)]
    for number, one in enumerate(planted):
        changed = textwrap.fill(one.question.replace(",", ";").replace(".", " ..."), 30)
        (tmp_path / f"{number}.txt").write_text(FILLER * 20 + "\n\n" + changed + "\n\n" + FILLER * 20)
    (tmp_path / "clean.txt").write_text(FILLER * 100)
    assert contamination(tmp_path, problems, tmp_path / "found.jsonl") == {"gsm8k": 3}
    findings = list(read_jsonl(tmp_path / "found.jsonl", Contamination))
    assert [(f.problem_id, Path(f.url).name) for f in findings] == [
        (one.id, f"{number}.txt") for number, one in enumerate(planted)
    ]
    assert min(f.share for f in findings) == 1.0
