"""Rows of our own in the layouts of published data sets, and the writing of files of them."""

import json
from pathlib import Path
from typing import Any

from mathwright.problems.benchmarks import BENCHMARKS, LoadedBenchmark, load_benchmark

FIRST_FILES = {name: benchmark.files[0].replace("*", "I") for name, benchmark in BENCHMARKS.items()}


def write(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text(json.dumps(rows) if path.suffix == ".json" else "\n".join(lines) + "\n", encoding="utf-8")
    return path


def load(folder: Path, name: str, *rows: Any) -> LoadedBenchmark:
    write(folder / FIRST_FILES[name], *rows)
    return load_benchmark(name, folder)


MCQ = {"question": "Pick.", "options": ["A)1", "B)2", "C)3"], "correct": "C"}
GSM = {"question": "How many?", "answer": "1,000+2=<<1000+2=1002>>1002\n#### 1,002"}
TAL = {
    "problem": "选一个． ",
    "answer_option_list": [[{"aoVal": "A", "content": "$$1$$ "}], [{"aoVal": "B", "content": "星期一 "}]],
    "answer_value": "B",
    "queId": "6afc",
    "qid": "3",
    "difficulty": "2",
    "knowledge_point_routes": ["拓展思维->拓展思维->应用题模块->周期问题"],
}
MBPP = {"task_id": 11, "code": "def f(x):\n    return x", "test_list": ["assert f(1) == 1", "assert f(2) == 2"]}
