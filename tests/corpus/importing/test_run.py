"""An import as people start it: documents, shards, a manifest; killed and started again it gives the same."""

import contextlib
import hashlib
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mathwright.children import LineWorker, run_module
from mathwright.cli import main
from mathwright.corpus.documents.compute import read_rows
from mathwright.corpus.importing import plan
from mathwright.corpus.importing.plan import Options, make_plan
from mathwright.corpus.importing.run import import_corpus
from mathwright.errors import MathwrightError
from mathwright.lines import file_lines
from mathwright.lm.shards import TokenShards
from mathwright.lm.tokenise import encode
from mathwright.run import read_manifest
from tests.corpus.importing.publishers import PUBLISHERS, lines, text, write

ROOT = Path(__file__).resolve().parents[3]


def tree(folder: Path) -> dict[str, str]:
    """What an import leaves, without the times in its manifest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in ("manifest.json", "lock"):
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def summary(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    assert manifest is not None
    return manifest["summary"]


def test_a_token_of_an_import_is_traced_to_its_row(
    tmp_path: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = PUBLISHERS["proof_pile_2"](tmp_path / "in")
    out = tmp_path / "out"
    main(["corpus", "import", "proof_pile_2", str(tmp_path / "in"), "--out", str(out), "--tokenizer", str(tokenizer)])
    rows = [row for path in sorted(out.glob("documents*.parquet")) for row in read_rows(path)]
    assert [row["text"] for row in rows] == texts
    shards = TokenShards(out / "shards")
    assert shards.num_documents == len(texts)
    assert shards.num_bytes == sum(len(t.encode()) for t in texts) == summary(out)["num_bytes"]
    assert summary(out)["skipped"] == {"empty line": 1, "empty object": 1}
    assert summary(out)["files_left_out"] == {"another split": 2, "no data": 1}
    capsys.readouterr()
    start = int(shards.document_starts[2])
    main(["corpus", "where", f"{out / 'shards'}:{start + 3}", "--page"])
    said = capsys.readouterr().out
    assert f"arXiv_000.jsonl.zst\noffset\t3\ntoken\t3 of {shards.document(2).num_tokens} of the document" in said
    assert said.endswith(texts[2] + "\n"), "read again from the publisher's file"


def test_a_killed_import_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / "in" / f"{number}.jsonl", lines([{"text": text(1000 * number + i) * 20} for i in range(300)]))
    code = (
        "import sys; from pathlib import Path; from mathwright.corpus.importing import plan;"
        "from mathwright.corpus.importing.run import import_corpus; plan.JOB_BYTES = 1;"
        f"import_corpus(plan.Options(layout='text', path={str(tmp_path / 'in')!r}), Path(sys.argv[1]), num_workers=2)"
    )

    def start(out: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", code, str(tmp_path / out)], cwd=ROOT, stderr=subprocess.DEVNULL)

    assert start("whole").wait(120) == 0
    kills = 0
    for wait_for in ("00001.read.json",):
        process = start("killed")
        deadline = time.monotonic() + 60
        while not (tmp_path / "killed/work" / wait_for).is_file() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert kills == 1
    assert start("killed").wait(120) == 0
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")
    assert summary(tmp_path / "whole") == summary(tmp_path / "killed")
    assert summary(tmp_path / "killed")["num_documents"] == 1800


def test_a_worker_ends_with_its_parent_in_the_middle_of_a_job(tmp_path: Path) -> None:
    """Else the command that goes on would find it writing the same files."""
    write(tmp_path / "in/a.jsonl", lines([{"text": "a"}]))
    make_plan(Options(layout="text", path=str(tmp_path / "in"))).write(tmp_path / "out/work")
    worker = LineWorker("a worker", run_module("tests.corpus.importing.slow_worker", str(tmp_path / "out")))
    worker.tell({"step": "read", "number": 0, "output": str(tmp_path / "out/documents.parquet")})
    assert worker.hear(60) == {"rows": 1}
    worker.end_input()
    deadline = time.monotonic() + 20
    while worker.alive:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    worker.kill()


def test_tokenising_goes_on_where_it_was_stopped(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "JOB_BYTES", 1)
    for number in range(3):
        write(tmp_path / "in" / f"{number}.jsonl", lines([{"text": text(100 * number + i)} for i in range(60)]))
    options = Options(layout="text", path=str(tmp_path / "in"), tokenizer=str(tokenizer), heldout_share=0.1)
    import_corpus(options, tmp_path / "whole")
    counts = summary(tmp_path / "whole")
    assert counts["shards"]["num_documents"] + counts["heldout"]["num_documents"] == 180
    assert 5 < counts["heldout"]["num_documents"] < 40
    moved, left = Path.replace, 0

    def stopping(self: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        return moved(self, target)

    monkeypatch.setattr(Path, "replace", stopping)
    stops = 0
    for steps in (1, 4, 9, 14, 5, 6, 1000):
        left = steps
        with contextlib.suppress(KeyboardInterrupt):
            import_corpus(options, tmp_path / "stopped")
        stops += left == 0
    assert stops == 6
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")
    assert summary(tmp_path / "stopped") == counts


def test_a_tokenizer_may_come_later_and_other_options_not(tmp_path: Path, tokenizer: Path) -> None:
    PUBLISHERS["openwebmath"](tmp_path / "in")
    options = Options(layout="openwebmath", path=str(tmp_path / "in"))
    with_tokens = replace(options, tokenizer=str(tokenizer))
    import_corpus(options, tmp_path / "out")
    import_corpus(with_tokens, tmp_path / "out")
    assert TokenShards(tmp_path / "out/shards").num_documents == 5
    with pytest.raises(MathwrightError, match="begun with another layout"):
        import_corpus(replace(options, layout="text"), tmp_path / "out")
    (tmp_path / "in/data/train-2").write_bytes(lines([{"text": "more"}]))
    with pytest.raises(MathwrightError, match=r"files .* are others"):
        import_corpus(with_tokens, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").touch()
    with pytest.raises(MathwrightError, match="holds something else"):
        import_corpus(options, tmp_path / "mine")


def test_benchmarks_and_near_copies_of_another_corpus_are_kept_out_and_logged(tmp_path: Path) -> None:
    question = "A train leaves the old station with forty seven passengers and nine crates of ripe oranges at noon."
    write(tmp_path / "bench.jsonl", lines([{"question": question, "answer": "42"}]))
    words = [f"word{i}" for i in range(300)]
    other, near = " ".join(words), " ".join([*words[:150], "another", *words[150:]])
    write(tmp_path / "other/a.jsonl", lines([{"text": other, "url": "https://o/1"}, {"text": text(1)}]))
    import_corpus(Options(layout="text", path=str(tmp_path / "other")), tmp_path / "theirs")
    rows = [{"text": f"Before.\n\n{question}\n\nAfter."}, {"text": near}, {"text": " ".join(reversed(words))}]
    write(tmp_path / "in/b.jsonl", lines(rows))
    import_corpus(
        Options(
            layout="text",
            path=str(tmp_path / "in"),
            benchmarks=(str(tmp_path / "bench.jsonl"),),
            against=str(tmp_path / "theirs"),
        ),
        tmp_path / "out",
        num_workers=1,
    )
    kept = [row["text"] for row in read_rows(tmp_path / "out/documents-00000.parquet")]
    assert kept == ["Before.\n\nAfter.", rows[2]["text"]]
    (removed,) = (json.loads(line) for line in file_lines(tmp_path / "out/rejected/decontaminate.jsonl"))
    assert removed["benchmark"] == "bench" and removed["reason"] == "ngram" and removed["matched"] in question
    (copy,) = (json.loads(line) for line in file_lines(tmp_path / "out/rejected/near-duplicates.jsonl"))
    assert copy["kept"] == "https://o/1" and copy["offset"] == 1
    (rule,) = json.loads((tmp_path / "out/contamination.json").read_text())["rules"]
    assert (rule["benchmark"], rule["spans"], rule["pages"]) == ("bench", 1, 1)
    assert summary(tmp_path / "out")["skipped"] == {"near-duplicate": 1}


def test_a_corpus_without_a_document_is_refused_with_its_reasons(tmp_path: Path) -> None:
    write(tmp_path / "in/a.jsonl", lines([{"text": None}, {"text": " "}, [1]]))
    with pytest.raises(MathwrightError, match=r"no document in 3 rows .*`text` is null 1"):
        import_corpus(Options(layout="text", path=str(tmp_path / "in")), tmp_path / "out")


def test_a_worker_that_ends_twice_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in/a.jsonl", lines([{"text": "a"}]))
    monkeypatch.setattr("mathwright.corpus.importing.crew.WORKER", "tests.corpus.importing.no_worker")
    with pytest.raises(MathwrightError, match="job 0 ended two workers"):
        import_corpus(Options(layout="text", path=str(tmp_path / "in")), tmp_path / "out", num_workers=1)


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        write(tmp_path / f"in/{number}.jsonl", lines([{"text": text(number)}]))
    monkeypatch.setattr(plan, "JOB_BYTES", 1)
    monkeypatch.setattr("mathwright.corpus.importing.crew.WORKER", "tests.corpus.importing.mortal_worker")
    import_corpus(Options(layout="text", path=str(tmp_path / "in")), tmp_path / "out", num_workers=1)
    assert (tmp_path / "out/died").is_file()
    rows = [row for path in sorted((tmp_path / "out").glob("documents*")) for row in read_rows(path)]
    assert [row["text"] for row in rows] == [text(0), text(1), text(2)]


def test_tokens_are_those_of_the_text(tmp_path: Path, tokenizer: Path) -> None:
    from mathwright.lm.load import load_tokenizer

    write(tmp_path / "in/a.jsonl", lines([{"text": "<eos> spelt out, 数 and $x$"}]))
    import_corpus(Options(layout="text", path=str(tmp_path / "in"), tokenizer=str(tokenizer)), tmp_path / "out")
    shards = TokenShards(tmp_path / "out/shards")
    expected = encode(load_tokenizer(tokenizer), "<eos> spelt out, 数 and $x$", parse_special=False)
    assert shards.read(0, shards.num_tokens).tolist() == [*expected, shards.eos_token]
