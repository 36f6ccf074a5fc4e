"""The reference answers of the benchmarks laid beside the checkout."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path


def rows(path: Path) -> Iterator[dict]:
    """The objects of a JSON-lines file."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file)


def _after_hashes(row: dict) -> str:
    return row["answer"].partition("####")[2]


def _field(name: str):
    return lambda row: row[name]


_FILES = (
    ("math", "problems/math_train.jsonl.gz", _field("answer")),
    ("math", "problems/math_test.jsonl.gz", _field("answer")),
    ("math500", "problems/math500_test.jsonl", _field("answer")),
    ("gsm8k", "problems/gsm8k_train.jsonl.gz", _after_hashes),
    ("gsm8k", "problems/gsm8k_test.jsonl", _after_hashes),
    ("gsm_hard", "problems/gsm_hard_test.jsonl", _field("target")),
    ("aqua", "problems/aqua_dev.jsonl", _field("correct")),
    ("aqua", "problems/aqua_test.jsonl", _field("correct")),
    ("mathqa", "problems/mathqa_test1000.jsonl", _field("correct")),
    ("ocw", "problems/ocw_test.jsonl", _field("answer")),
    ("sat", "problems/sat_test.jsonl", _field("Answer")),
    ("mmlu_stem", "problems/mmlu_stem_test.jsonl", _field("answer")),
    ("cmath", "chinese/cmath_dev.jsonl", _field("golden")),
    ("cmath", "chinese/cmath_test.jsonl", _field("golden")),
    ("cmath", "chinese/cmath_distractor.jsonl", _field("golden")),
    ("gaokao_cloze", "chinese/agieval_gaokao-mathcloze.jsonl", _field("answer")),
    ("gaokao_qa", "chinese/agieval_gaokao-mathqa.jsonl", _field("label")),
    ("mgsm_zh", "chinese/mgsm_zh_mgsm_zh.jsonl", _field("answer")),
    ("math23k", "chinese/math23k_test.jsonl", _field("ans")),
)


def references(data: Path) -> Iterator[tuple[str, str]]:
    """Benchmark and reference answer, of every problem."""
    for source, name, answer in _FILES:
        yield from ((source, str(answer(row))) for row in rows(data / name))
    for row in json.loads((data / "problems" / "svamp.json").read_text(encoding="utf-8")):
        yield "svamp", str(row["Answer"])
    for row in json.loads((data / "problems" / "theoremqa_test.json").read_text(encoding="utf-8")):
        yield "theoremqa", str(row["Answer"])
    for paper in ("I", "II"):
        path = data / "chinese" / f"gaokao_bench_2010-2022_Math_{paper}_Fill-in-the-Blank.json"
        for row in json.loads(path.read_text(encoding="utf-8"))["example"]:
            yield "gaokao_fill", row["answer"]
        path = data / "chinese" / f"gaokao_bench_2010-2022_Math_{paper}_MCQs.json"
        for row in json.loads(path.read_text(encoding="utf-8"))["example"]:
            yield "gaokao_choice", ", ".join(row["answer"])


def options(data: Path) -> Iterator[tuple[list[str], str]]:
    """The texts of the options and the correct letter, of multiple-choice problems."""
    for row in rows(data / "problems" / "mmlu_stem_test.jsonl"):
        yield [str(option) for option in row["options"]], row["answer"]  # one is NaN
    for name in ("aqua_dev.jsonl", "aqua_test.jsonl"):
        for row in rows(data / "problems" / name):
            yield row["options"], row["correct"]
    for row in rows(data / "chinese" / "agieval_gaokao-mathqa.jsonl"):
        if len(row["label"]) == 1:  # a few have several correct options
            yield [re.sub(r"^\([A-D]\)", "", option) for option in row["options"]], row["label"]
