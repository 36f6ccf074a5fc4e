"""What decontamination catches of benchmark questions planted into real pages, and what it finds in pages without any.

    python benchmarks/decontamination_planted.py pages.parquet --data benchmarks/data

Each question is a paragraph of its own in a page that is clean by itself. It is planted verbatim; re-wrapped (short
lines, quoted); restyled (tags, Markdown, entities, words cut at line ends); as its worked solution; with every number
changed; and paraphrased. The paraphrases are made by rules, not by people: `light` replaces words by synonyms from a
list, `strong` also turns the clauses around and drops every fifth word. They show where the rule ends, no more.
Everything is drawn from one seed. A question counts as caught where a span lies in it, as removed where nothing of it
is left (mode segment). Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mathwright.corpus.decontaminate.report import DecontaminationReport, cost_table
from mathwright.corpus.decontaminate.spans import (
    BenchmarkText,
    ContaminationIndex,
    build_index,
    find_contamination_in,
    find_removals,
)
from mathwright.corpus.decontaminate.texts import benchmark_texts
from mathwright.corpus.documents.foreign import read_corpus

BENCHMARKS = ("gsm8k", "math", "cmath", "agieval")
ENGLISH = {
    "how many": "what number of",
    "how much": "what amount of",
    "each": "every",
    "sold": "sell off",
    "buys": "gets",
    "bought": "got",
    "total": "sum",
    "find": "determine",
    "compute": "work out",
    "what is": "give",
    "has": "owns",
    "if": "supposing",
    "let": "take",
    "then": "next",
    "and": "as well as",
    "more than": "above",
    "makes": "earns",
    "gave": "handed",
    "left": "remaining",
    "number": "count",
    "value": "size",
    "day": "date",
    "people": "persons",
    "first": "initial",
    "all": "every one of the",
    "with": "having",
    "was": "had been",
    "will": "is going to",
    "she": "this girl",
    "he": "this boy",
    "they": "these people",
    "for": "in return for",
    "such that": "so that",
}
CHINESE = {
    "一共": "总共",
    "多少": "几",
    "还剩": "剩下",
    "买了": "购买了",
    "平均": "均匀",
    "求": "计算出",
    "已知": "设有",
    "每": "各",
    "比": "较",
    "的": "之",
    "有": "存在",
    "是": "为",
    "吃了": "吃掉",
    "小明": "小李",
    "如果": "假如",
    "则": "那么",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A question in a page."""

    benchmark: str
    kind: str
    text: str
    start: int
    end: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="pages: Parquet, JSON lines or text")
    parser.add_argument("--data", required=True, help="folder with the benchmarks' files")
    parser.add_argument("--num", type=int, default=100, help="questions of each benchmark")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cjk-chars", type=int, default=1)
    arguments = parser.parse_args()

    texts = {name: list(found) for name, found in benchmark_texts(BENCHMARKS, arguments.data).items()}
    index = build_index(texts, cjk_chars=arguments.cjk_chars)
    pages = [(url, text) for url, text in read_corpus(arguments.corpus) if text.strip()]
    found = list(find_contamination_in((text for _, text in pages), index))
    clean = [text for (_, text), spans in zip(pages, found, strict=True) if not spans]
    print(f"{len(pages):,} pages, of which {len(pages) - len(clean)} hold something of a benchmark by themselves\n")
    print_caught(texts, clean, index, arguments)
    print("\nWithout any plant:\n")
    report = DecontaminationReport(index)
    for (url, text), spans in zip(pages, found, strict=True):
        for row in report.add(url, text, find_removals(text, spans)):
            print(
                f"    {row['rule']} {row['benchmark']} {row['problem']} {url}: {' '.join(row['matched'].split())[:90]}"
            )
    print("\n" + cost_table(report.summary(25)))


# --- planting -------------------------------------------------------------------------------------


def print_caught(
    texts: dict[str, list[BenchmarkText]],
    pages: Sequence[str],
    index: ContaminationIndex,
    arguments: argparse.Namespace,
) -> None:
    kinds = (*VARIANTS, "solution")
    print("| benchmark | questions | " + " | ".join(kinds) + " |")
    print("|---|---|" + "---|" * len(kinds))
    for name, own in texts.items():
        rng = random.Random(f"{arguments.seed}:{name}")
        by_problem: dict[str, list[str]] = {}
        for item in own:
            by_problem.setdefault(item.problem, []).append(item.text)
        chosen = rng.sample(sorted(by_problem), min(arguments.num, len(by_problem)))
        cells = []
        for kind in kinds:
            variants = [variant for problem in chosen if (variant := write(kind, by_problem[problem], rng))]
            cells.append(measure(name, kind, variants, pages, index, rng))
        print(f"| {name} | {len(chosen)} | " + " | ".join(cells) + " |")


def write(kind: str, texts: Sequence[str], rng: random.Random) -> str:
    """The question in one of its forms; "" where the problem has no such form (no number, no worked solution)."""
    if kind != "solution":
        written = VARIANTS[kind](texts[0], rng)
        return "" if kind != "verbatim" and written == texts[0] else written
    return next((text for text in texts[1:] if len(text) > 60), "")


def measure(
    benchmark: str,
    kind: str,
    variants: Sequence[str],
    pages: Sequence[str],
    index: ContaminationIndex,
    rng: random.Random,
) -> str:
    """ "caught / planted (removed whole)" as a cell."""
    planted = [plant(benchmark, kind, variant, rng.choice(pages), rng) for variant in variants]
    caught = whole = 0
    for item, spans in zip(planted, find_contamination_in((item.text for item in planted), index), strict=True):
        caught += any(span.start < item.end and span.end > item.start for span in spans)
        gone = find_removals(item.text, spans)
        inside = sum(max(0, min(r.end, item.end) - max(r.start, item.start)) for r in gone)
        whole += inside >= len(item.text[item.start : item.end].strip())
    return f"{caught}/{len(planted)} ({whole})" if planted else "-"


def plant(benchmark: str, kind: str, question: str, page: str, rng: random.Random) -> Plant:
    paragraphs = page.split("\n\n")
    at = rng.randint(0, len(paragraphs))
    before = "\n\n".join([*paragraphs[:at], ""])
    text = "\n\n".join([*paragraphs[:at], question, *paragraphs[at:]])
    return Plant(benchmark=benchmark, kind=kind, text=text, start=len(before), end=len(before) + len(question))


# --- the forms of a question ----------------------------------------------------------------------


def rewrapped(question: str, rng: random.Random) -> str:
    """Lines of two to five words (Chinese: of six to ten characters), each quoted with `> `."""
    pieces = re.findall(r"[一-鿿]|[^\s一-鿿]+", question)
    lines, line = [], ""
    for piece in pieces:
        line += piece if not line or re.match(r"[一-鿿]", piece) else f" {piece}"
        if len(line) > rng.randint(8, 30):
            lines.append(line)
            line = ""
    return "\n".join(f"> {line}" for line in [*lines, line] if line)


def restyled(question: str, rng: random.Random) -> str:
    """Bold and emphasised words, tags, non-breaking spaces, other quotes, words cut at the end of a line."""

    def style(match: re.Match[str]) -> str:
        word = match[0]
        forms = [f"**{word}**", f"<b>{word}</b>", f'<span class="w">{word}</span>', f"*{word}*", word, word, word]
        if len(word) > 6:
            forms.append(f"{word[:3]}-\n{word[3:]}")
        return rng.choice(forms)

    # Formulas stay as they are: no page writes tags inside them.
    parts = re.split(r"(\$[^$]*\$|\\\[.*?\\\])", question, flags=re.DOTALL)
    styled = [part if i % 2 else re.sub(r"(?<![\w\\])[A-Za-z]{3,}(?!\w)", style, part) for i, part in enumerate(parts)]
    return "".join(styled).replace("'", "&rsquo;").replace("。", "。<br>").replace("，", "， ")


def other_numbers(question: str, rng: random.Random) -> str:
    """Every number changed for another of as many digits."""

    def other(match: re.Match[str]) -> str:
        digits = match[0]
        new = digits
        while new == digits:
            new = str(rng.randint(10 ** (len(digits) - 1), 10 ** len(digits) - 1))
        return new

    return re.sub(r"\d+", other, question)


def light(question: str, rng: random.Random) -> str:
    """Synonyms from the lists above."""
    del rng
    for old, new in ENGLISH.items():
        question = re.sub(rf"\b{old}\b", new, question, flags=re.IGNORECASE)
    for old, new in CHINESE.items():
        question = question.replace(old, new)
    return question


def strong(question: str, rng: random.Random) -> str:
    """Synonyms, clauses turned around, every fifth word (Chinese: eighth character) left out."""
    clauses = re.split(r"(?<=[.,;?!，。；？])\s*", light(question, rng))
    rng.shuffle(clauses)
    words = re.findall(r"[一-鿿]|[^\s一-鿿]+", " ".join(clauses))
    step = 8 if re.search(r"[一-鿿]", question) else 5
    kept = [word for i, word in enumerate(words) if i % step != step - 1]
    return re.sub(r"(?<=[一-鿿]) (?=[一-鿿])", "", " ".join(kept))


VARIANTS: dict[str, Callable[[str, random.Random], str]] = {
    "verbatim": lambda question, _: question,
    "re-wrapped": rewrapped,
    "restyled": restyled,
    "other numbers": other_numbers,
    "light paraphrase": light,
    "strong paraphrase": strong,
}


if __name__ == "__main__":
    main()
