"""`mathwright reward score`: what stands in the file, going on after a kill, what is refused."""

import json
import time
from pathlib import Path

import pytest
import torch

from mathwright.cli import main
from mathwright.errors import MathwrightError
from mathwright.lm import heads
from mathwright.lm.load import load
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.reward.score_file import score_file
from tests import warm

ROWS = [
    {"id": 1, "prompt": "1 + 1?", "response": " 2"},
    {"id": 2, "prompt": "1 + 1?", "responses": [" 2", " 3", ""], "truncated": [False, True, True]},
    {"id": 3, "prompt": "2 + 2?", "response": " 4 or", "finish": "length"},
    {"id": 4, "prompt": "2 + 2?", "response": " 4" * 60},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("score")
    scratch = ScratchRecipe(vocab_size=259, width=32, num_layers=1, num_heads=2, num_kv_heads=1, ffn_width=64)
    save(from_scratch(scratch, ["1 + 1?"], max_length=64, seed=0), folder / "lm")
    save(heads.from_language_model(load(folder / "lm", dtype="float32"), seed=0), folder / "rm")
    return folder / "rm"


def written(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_every_response_has_the_score_that_the_model_gives_it(model, tmp_path):
    out = tmp_path / "out.jsonl"
    main(
        [
            "reward",
            "score",
            str(model),
            str(written(tmp_path / "in.jsonl", ROWS)),
            "--out",
            str(out),
            "--dtype",
            "float32",
        ]
    )
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [{k: v for k, v in row.items() if k not in ("score", "scores")} for row in rows] == ROWS
    reward_model = heads.load(model, dtype="float32")

    def score(prompt, response, cut=False):
        return heads.score(reward_model, [prompt], [response], truncated=[cut], micro_batch_tokens=100)[0]

    assert rows[0]["score"] == pytest.approx(score("1 + 1?", " 2"), abs=1e-5)
    expected = [score("1 + 1?", " 2"), score("1 + 1?", " 3", True), score("1 + 1?", "", True)]
    assert rows[1]["scores"] == pytest.approx(expected, abs=1e-5)
    assert rows[2]["score"] == pytest.approx(score("2 + 2?", " 4 or", True), abs=1e-5)
    assert rows[2]["score"] != pytest.approx(score("2 + 2?", " 4 or"), abs=1e-4), "no end token is invented"
    assert rows[3]["score"] is None, "longer than the context"


def test_it_goes_on_after_a_kill(model, tmp_path):
    """Killed in the middle, and once more by a torn line: in the end every row is there once."""
    file = written(tmp_path / "in.jsonl", [{"id": i, "prompt": f"{i}?", "response": f" {i}"} for i in range(3000)])
    out = tmp_path / "out.jsonl"
    command = ["-m", "mathwright.cli", "reward", "score", str(model), str(file), "--out", str(out)]
    process = warm.start(*command, "--dtype", "float32")
    while process.poll() is None and not (out.is_file() and out.stat().st_size > 5_000):
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = out.read_bytes()
    assert kept
    out.write_bytes(kept + b'{"id": 99')
    score_file(model, file, out, dtype="float32", device="cpu")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in rows] == list(range(3000))
    assert out.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1]), "what was scored is not scored again"
    before = out.stat().st_mtime_ns
    score_file(model, file, out, dtype="float32", device="cpu")
    assert out.stat().st_mtime_ns == before


def test_nan_is_no_score(model, tmp_path):
    broken = heads.load(model, dtype="float32")
    broken.model.score.weight.data.fill_(float("nan"))
    save(broken, tmp_path / "broken")
    out = tmp_path / "out.jsonl"
    score_file(tmp_path / "broken", written(tmp_path / "in.jsonl", ROWS[:2]), out, dtype="float32", device="cpu")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert rows[0]["score"] is None and rows[1]["scores"] == [None] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no rows"),
        ('{"prompt": "a"}\n', "in.jsonl:1: no text in the column 'response'"),
        ('{"response": "a"}\n', "in.jsonl:1: no text in the column 'prompt'"),
        ('{"prompt": "a", "responses": ["b"], "truncated": [true, true]}\n', "1 responses but 2 marks"),
        ('{"prompt": "a", "response": "b"}\n{"prompt": "a", "respon', "in.jsonl:2: not JSON"),
    ],
)
def test_bad_files_are_named_before_anything_is_scored(model, tmp_path, text, message):
    file = tmp_path / "in.jsonl"
    file.write_text(text)
    with pytest.raises(MathwrightError, match=message):
        score_file(model, file, tmp_path / "out.jsonl", dtype="float32", device="cpu")
    assert not (tmp_path / "out.jsonl").exists()


def test_an_out_of_another_file_is_not_written_to(model, tmp_path):
    file = written(tmp_path / "in.jsonl", ROWS[:1])
    out = written(tmp_path / "out.jsonl", [{"id": 7, "prompt": "?", "response": "", "score": 1.0}])
    with pytest.raises(MathwrightError, match="is not row 1 of"):
        score_file(model, file, out, dtype="float32", device="cpu")
    with pytest.raises(MathwrightError, match="the file that is read"):
        score_file(model, file, file, dtype="float32", device="cpu")


def test_a_body_of_another_vocabulary_is_named(model, tmp_path):
    small = heads.load(model, dtype="float32")
    embedding = torch.nn.Embedding(20, 32)
    small.model.base_model.set_input_embeddings(embedding)
    with pytest.raises(MathwrightError, match="embedding"):
        heads.score(small, ["1 + 1?"], [" 2"], micro_batch_tokens=100)
