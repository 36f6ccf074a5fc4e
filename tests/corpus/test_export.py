"""A corpus written for other tools: every format reads back the same, nothing is replaced or left half written."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mathwright.cli import main
from mathwright.corpus.documents.compute import BATCH_ROWS, read_rows
from mathwright.corpus.export import ENDINGS, FIELDS, export
from mathwright.corpus.importing.plan import Options
from mathwright.corpus.importing.run import import_corpus
from mathwright.errors import MathwrightError

DOCS = Path(__file__).resolve().parents[2] / "docs"
NUM_ROWS = BATCH_ROWS + 5
ODD = 'quotes " and \\frac{1}{2}\nlines\u2028 \u7b54\u6848 \U0001d7d9 \x00 \ud800'


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An imported corpus of two batches, one text odd."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = [{"text": f"Text {n} of a page.", "url": f"https://a.org/{n}", "year": n} for n in range(NUM_ROWS)]
    rows[3]["text"] = ODD
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_corpus(Options(layout="text", path=str(folder / "in.jsonl")), folder / "out", num_workers=1)
    return folder / "out"


def read_back(file: Path) -> list[dict[str, Any]]:
    """The rows of a file, by readers that are not ours."""
    if file.suffix == ".parquet":
        return pq.read_table(file).to_pylist()
    if file.suffix == ".zst":
        with pa.CompressedInputStream(str(file), "zstd") as stream:
            data = stream.read()
    else:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    text = data.decode()
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_a_corpus_is_never_replaced_by_its_export(corpus: Path, tmp_path: Path) -> None:
    (file,) = corpus.glob("documents*.parquet")
    before = file.read_bytes()
    (tmp_path / "link.parquet").symlink_to(file)
    for given in (corpus, file):
        for target in (file, tmp_path / "link.parquet"):
            with pytest.raises(MathwrightError, match="a file of the corpus itself"):
                export(given, target, fields=("url",), overwrite=True)
    assert file.read_bytes() == before


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_holds_every_document(corpus: Path, tmp_path: Path, ending: str) -> None:
    assert export(corpus, tmp_path / f"c{ending}") == NUM_ROWS
    rows = read_back(tmp_path / f"c{ending}")
    stored = [row for file in sorted(corpus.glob("documents*.parquet")) for row in read_rows(file)]
    for name in ("url", "text", "num_words", "num_bytes", "offset"):
        assert [row[name] for row in rows] == [row[name] for row in stored]
    metadata = rows[7]["metadata"]
    assert (json.loads(metadata) if ending == ".parquet" else metadata)["year"] == 7
    assert list(rows[0]) == [name for name in FIELDS if name != "score"], "their order is that of the documents"


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_exported_can_be_imported(corpus: Path, tmp_path: Path, ending: str) -> None:
    export(corpus, tmp_path / f"c{ending}")
    main(["corpus", "import", "text", str(tmp_path / f"c{ending}"), "--out", str(tmp_path / "again"), "--workers", "1"])
    [file] = (tmp_path / "again").glob("documents*.parquet")
    again = list(read_rows(file, ["url", "text"]))
    first = [row for file in sorted(corpus.glob("documents*.parquet")) for row in read_rows(file, ["url", "text"])]
    assert again == first


def test_one_file_of_chosen_fields(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [documents] = corpus.glob("documents*.parquet")
    out = tmp_path / "c.jsonl"
    main(["corpus", "export", str(documents), "--out", str(out), "--fields", "url,text"])
    said = capsys.readouterr()
    assert said.out == f"{out}\n" and f"{NUM_ROWS:,} documents" in said.err
    assert all(list(row) == ["url", "text"] for row in read_back(out))


def test_nothing_is_replaced_unless_told(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.jsonl"
    out.write_text("mine\n")
    with pytest.raises(MathwrightError, match="is there already"):
        export(corpus, out)
    assert out.read_text() == "mine\n"
    assert export(corpus, out, overwrite=True) == NUM_ROWS
    assert len(read_back(out)) == NUM_ROWS


def test_a_file_that_was_begun_never_has_the_name(corpus: Path, tmp_path: Path) -> None:
    def stop(row: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    for ending in ENDINGS:
        with pytest.raises(KeyboardInterrupt):
            export(corpus, tmp_path / f"c{ending}", advance=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--out", "c.jsonl"], "no such file or folder"),
        (["CORPUS", "--out", "c.csv"], "no known ending"),
        (["CORPUS", "--out", "."], "no known ending"),
        (["CORPUS", "--out", "folder.parquet"], "is a folder"),
        (["CORPUS", "--out", "c.jsonl", "--fields", "body"], "no field 'body'"),
        (["CORPUS", "--out", "c.jsonl", "--fields", "score"], "no field 'score'"),
        (["folder.parquet", "--out", "c.jsonl"], "no documents"),
        (["begun", "--out", "c.jsonl"], "has not finished"),
    ],
)
def test_what_cannot_be_exported_is_said(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun/begun.json").write_text("{}")
    with pytest.raises(SystemExit) as end:
        main(["corpus", "export", *(str(corpus) if word == "CORPUS" else word for word in arguments)])
    said = capsys.readouterr().err
    assert end.value.code == 2 and message in said and "hint:" in said
    assert not (tmp_path / "c.jsonl").exists()


def test_the_fields_are_those_of_the_docs() -> None:
    page = (DOCS / "corpora.md").read_text(encoding="utf-8").split("## Export")[1].split("\n## ")[0]
    rows = [[cell.strip(" `") for cell in line.split("|")[1:4]] for line in page.splitlines() if line[:3] == "| `"]
    kinds = {pa.string(): "string", pa.int64(): "integer", pa.float64(): "float"}
    assert [row[0] for row in rows] == list(FIELDS)
    for name, kind, _ in rows:
        assert kind.startswith("object") if name in ("notation", "metadata") else kind == kinds[FIELDS[name]]
