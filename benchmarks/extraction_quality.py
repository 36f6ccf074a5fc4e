"""Quality of extraction, ours beside others on the same pages: text against reviewed text, formulas against sources.

    python benchmarks/extraction_quality.py pages-*.warc.gz --gold-text text.jsonl.gz \
        --gold-formulas formulas.jsonl.gz --labels labels.jsonl.gz \
        --side trafilatura=peers/bin/python --side openwebmath=owm/bin/python --out quality.json

Sides: `ours` and `resiliparse` (this python), and with another python `trafilatura`, `openwebmath` (the extractor of
OpenWebMath: `pip install openwebmath-text-extract 'resiliparse<1'`), `readability` (readability-lxml with html2text),
`justext`. Each runs in a process of its own; all but the first two are handed the page's characters.

Text (means over pages): precision, recall and F1 of words, with multiplicity; edit similarity 2 L / (m + n) of the
sequences of words, so that order counts; must-have snippets found; must-not-have snippets kept. Split: pages are
"dev" or "held out" by the last hexadecimal digit of the SHA-1 of their URL (odd, even); rules were made by looking at
"dev" alone.

Formulas (over formulas): recall, where a formula of the source stands anywhere in the text, marked or not; marked,
where it stands between delimiters; precision, of formulas between delimiters in the text, how many are in the
source; similarity, the characters of each formula of the source against the most similar one in the text. All after
`normalise`. Kinds are the page's labels: a page with two kinds counts in both.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from extraction_scores import (
    Side,
    archive_pages,
    closest,
    delimited_formulas,
    edit_similarity,
    held_out,
    normalise,
    precision_recall_f1,
    read_rows,
    share_found,
    source_formulas,
    tokens,
    write_pages,
)

TEXT_MEASURES = ("F1", "precision", "recall", "edit", "must have", "must not")
FORMULA_MEASURES = ("recall", "marked", "precision", "similarity")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("archives", nargs="+", help="WARC files")
    parser.add_argument("--gold-text", help="JSONL with url, page_type and gold (main_content, with, without)")
    parser.add_argument("--gold-formulas", help="JSONL with url, format and gold_source (the page's source)")
    parser.add_argument("--labels", help="JSONL with url and markup (kinds of formulas on the page)")
    parser.add_argument("--side", action="append", default=[], metavar="NAME=PYTHON", help="another extractor")
    parser.add_argument("--texts", type=Path, help="folder to keep the texts in; a peer's texts there are taken as is")
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()
    gold_text = read_rows(arguments.gold_text) if arguments.gold_text else []
    gold_formulas = read_rows(arguments.gold_formulas) if arguments.gold_formulas else []
    wanted = {row["url"] for row in [*gold_text, *gold_formulas]}
    sides = {"ours": sys.executable, "resiliparse": sys.executable} | dict(s.split("=", 1) for s in arguments.side)
    with tempfile.TemporaryDirectory() as scratch:
        pages = Path(scratch) / "pages.jsonl"
        write_pages((page for url, page in archive_pages(arguments.archives).items() if url in wanted), pages)
        texts = {
            name: read_texts(name, python, pages, arguments.texts or Path(scratch)) for name, python in sides.items()
        }
    labels = {row["url"]: row["markup"] for row in read_rows(arguments.labels)} if arguments.labels else {}
    result = {
        "text": {name: text_scores(own, gold_text) for name, own in texts.items()},
        "formulas": {name: formula_scores(own, gold_formulas, labels) for name, own in texts.items()},
    }
    for title, measures in (("text", TEXT_MEASURES), ("formulas", FORMULA_MEASURES)):
        if any(result[title].values()):
            print(table(title, result[title], measures))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1))


def read_texts(name: str, python: str, pages: Path, folder: Path) -> dict[str, str]:
    """What a side makes of all pages, by URL."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.jsonl"
    if name == "ours" or not path.exists():
        side = Side(name, python, pages)
        errors = side.ask(f"texts {path}")["errors"]
        side.close()
        if errors:
            print(f"{name}: {errors} pages raised; they count as empty", file=sys.stderr)
    return {row["url"]: row["text"] for row in read_rows(str(path))}


Table = dict[str, dict[str, float]]
"""Scores by group of pages: "n" and the measures."""


def text_scores(texts: Mapping[str, str], rows: Iterable[dict]) -> Table:
    scores: dict[str, list[tuple[float | None, ...]]] = defaultdict(list)
    for row in rows:
        gold = (row["gold"].get("main_content") or "").strip()
        if gold and row["url"] in texts:
            half = "held out" if held_out(row["url"]) else "dev"
            score = text_score(tokens(texts[row["url"]]), tokens(gold), row["gold"])
            for group in ("all", half, f"{half}: {row['page_type']}"):
                scores[group].append(score)
    return {
        group: {"n": len(own)} | {m: mean(s[i] for s in own) for i, m in enumerate(TEXT_MEASURES)}
        for group, own in sorted(scores.items())
    }


def text_score(found: Sequence[str], gold: Sequence[str], row: Mapping[str, list[str] | None]) -> tuple:
    precision, recall, f1 = precision_recall_f1(found, gold)
    have = share_found(row.get("with") or (), found)
    must_not = share_found(row.get("without") or (), found, but_not_in=gold)
    return f1, precision, recall, edit_similarity(found, gold), have, must_not


def mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")


def formula_scores(texts: Mapping[str, str], rows: Iterable[dict], labels: Mapping[str, Sequence[str]]) -> Table:
    tallies: dict[str, list[float]] = defaultdict(lambda: [0.0] * 6)
    for row in rows:
        gold = source_formulas(row["gold_source"], row["format"])
        if row["url"] in texts and gold:
            tally = page_formulas(texts[row["url"]], gold)
            kinds = [f"kind: {kind}" for kind in labels.get(row["url"], ())]
            half = "held out" if held_out(row["url"]) else "dev"
            for group in ("all", half, f"site: {urlsplit(row['url']).netloc}", *kinds):
                tallies[group] = [a + b for a, b in zip(tallies[group], tally, strict=True)]
    return {
        group: {
            "n": int(wanted),
            "recall": found / wanted,
            "marked": marked / wanted,
            "precision": right / shown if shown else float("nan"),
            "similarity": similarity / wanted,
        }
        for group, (wanted, found, marked, shown, right, similarity) in sorted(tallies.items())
    }


def page_formulas(text: str, gold: Sequence[str]) -> tuple[float, ...]:
    """Counts of a page: wanted, found, found between delimiters, shown, shown rightly; sum of similarities."""
    shown = delimited_formulas(text)
    shown_set, gold_set, bare = set(shown), set(gold), normalise(text)
    rest = shown_set - gold_set
    similarity = {tex: 1.0 if tex in shown_set else closest(tex, rest) for tex in gold_set}
    return (
        len(gold),
        sum(tex in bare for tex in gold),
        sum(tex in shown_set for tex in gold),
        len(shown),
        sum(tex in gold_set for tex in shown),
        sum(similarity[tex] for tex in gold),
    )


def table(title: str, sides: Mapping[str, Table], measures: Sequence[str]) -> str:
    lines = [f"\n| {title} | n | side | {' | '.join(measures)} |", "|---" * (len(measures) + 3) + "|"]
    for group in next(iter(sides.values())):
        for name, scores in sides.items():
            own = scores[group]
            lines.append(f"| {group} | {own['n']} | {name} | {' | '.join(f'{own[m]:.3f}' for m in measures)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
