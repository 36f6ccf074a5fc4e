"""The figures of a corpus are counts of what is in it."""

import json
from pathlib import Path

import pytest

from mathwright.cli import main
from mathwright.corpus.documents.filters import count_formulas
from mathwright.corpus.importing.plan import Options
from mathwright.corpus.importing.run import import_corpus
from mathwright.corpus.importing.statistics import measure
from mathwright.errors import MathwrightError
from tests.corpus.importing.publishers import lines, write

ENGLISH = "The theorem says that every bounded sequence of real numbers has a convergent part, which we prove below."
GERMAN = "Der Satz sagt, dass jede beschränkte Folge reeller Zahlen eine konvergente Teilfolge hat, was wir nun zeigen."


def imported(folder: Path, rows: list[dict[str, str]]) -> Path:
    write(folder / "in/rows.jsonl", lines(rows))
    import_corpus(Options(layout="text", path=str(folder / "in")), folder / "out")
    return folder / "out"


def test_a_corpus_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = imported(
        tmp_path / "own",
        [
            {"text": f"{ENGLISH} $x^2$ and $$y$$ and \\(z\\)", "url": "https://a.org/1"},
            {"text": f"{GERMAN} \\begin{{align}}x\\end{{align}}", "url": "https://a.org/2"},
            {"text": f"{ENGLISH} {ENGLISH[::-1]} It costs $5 or $6.", "url": "https://b.org/"},
            {"text": ENGLISH.upper()},
        ],
    )
    other = imported(
        tmp_path / "other",
        [
            {"text": f"{GERMAN} \\begin{{align}}x\\end{{align}}", "url": "https://c.org/"},
            {"text": "other", "url": "https://b.org"},
        ],
    )
    found = measure(own, against=other)
    assert (found.num_documents, found.num_sampled, found.with_formulas) == (4, 4, 2)
    assert found.formulas == {"$": 1, "$$": 1, "\\(": 1, "environment": 1}
    assert found.languages["en"] >= 2 and found.languages["de"] == 1
    assert (found.num_hosts, found.hosts) == (2, {"a.org": 2, "b.org": 1, "unknown": 1})
    assert found.num_tokens is None and found.bytes_per_token is None
    assert found.overlap is not None
    assert (found.overlap.near_duplicates, found.overlap.same_address) == (1, 1)
    main(["corpus", "stats", str(own), "--json", str(tmp_path / "stats.json")])
    said = capsys.readouterr().out
    assert "documents\t4\n" in said and "hosts\t2: a.org 2" in said
    assert json.loads((tmp_path / "stats.json").read_text())["formulas"] == found.formulas


def test_formulas_are_counted_by_their_delimiters() -> None:
    text = r"$a$ $$b$$ \(c\) \[d\] \begin{equation}e\end{equation} \alpha costs $5 and $6"
    assert count_formulas(text) == {"$": 1, "$$": 1, "\\(": 1, "\\[": 1, "environment": 1, "command": 1}


def test_a_folder_without_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MathwrightError, match=r"no documents\*.parquet"):
        measure(tmp_path)
