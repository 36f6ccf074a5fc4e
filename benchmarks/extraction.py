"""Extraction with mathematics kept beside resiliparse's plain extraction: time, and formulas found.

    python benchmarks/extraction.py pages-*.warc.gz --gold-formulas formulas.jsonl.gz --gold-text text.jsonl.gz

Both take the same pages in the same run, decoding included; times are CPU times of this process. A formula of the
author's source counts as found where the text holds it between dollars, white space and thin spaces aside. Text is
scored by the F1 of its words against the reviewed main content.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from resiliparse.extract.html2text import extract_plain_text

from mathwright.corpus.archive import read_pages
from mathwright.corpus.extract import decode, extract
from mathwright.records import Page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("archives", nargs="+", help="WARC files")
    parser.add_argument("--gold-formulas", help="JSONL with url, format and gold_source (the page's source)")
    parser.add_argument("--gold-text", help="JSONL with url and gold.main_content")
    arguments = parser.parse_args()
    pages = {item.url: item for path in arguments.archives for item in read_pages(path) if isinstance(item, Page)}
    print_times(list(pages.values()))
    if arguments.gold_formulas:
        print_recall(pages, read_rows(arguments.gold_formulas))
    if arguments.gold_text:
        print_text_scores(pages, read_rows(arguments.gold_text))


def read_rows(path: str) -> list[dict]:
    with gzip.open(path, "rt") if path.endswith(".gz") else open(path) as file:  # noqa: PTH123 (one name for both)
        return [json.loads(line) for line in file]


def ours(page: Page) -> str:
    return extract(page.html, page.url, charset=page.charset).text


def plain(page: Page) -> str:
    return extract_plain_text(decode(page.html, page.charset), main_content=True)


def print_times(pages: Sequence[Page]) -> None:
    def seconds(run: Callable[[Page], str]) -> float:
        start = time.process_time()
        for page in pages:
            run(page)
        return time.process_time() - start

    # The better of two, taken in turns: the machine's other work should not fall on one of them.
    rounds = [(seconds(ours), seconds(plain)) for _ in range(2)]
    own, other = min(r[0] for r in rounds), min(r[1] for r in rounds)
    size = sum(len(page.html) for page in pages) / 1e6
    print(f"{len(pages)} pages, {size:.0f} MB")
    print(f"  ours   {own:6.2f} s  {len(pages) / own:6.0f} pages/s  {size / own:5.1f} MB/s")
    print(f"  plain  {other:6.2f} s  {len(pages) / other:6.0f} pages/s  {size / other:5.1f} MB/s")
    print(f"  ratio  {own / other:.2f}")


# --- formulas -----------------------------------------------------------------------------------------

_FENCED_CODE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.DOTALL | re.MULTILINE)
_MARKDOWN = re.compile(
    r"\$\$(.+?)\$\$|\\?\\\[(.+?)\\?\\\]|\\?\\\((.+?)\\?\\\)|(?<![\\$])\$(?!\s)([^$\n]+?)(?<!\s)\$(?!\d)"
    r"|(\\begin\{(?:align|equation|gather|eqnarray)\*?\}.+?\\end\{(?:align|equation|gather|eqnarray)\*?\})",
    re.DOTALL,
)
_REST_ROLE = re.compile(r":math:`([^`]+)`")
_REST_DIRECTIVE = re.compile(r"\.\. math::([^\n]*)\n((?:[ \t]+[^\n]*\n|\n)+)")
_NUMBER = re.compile(r"[\d.,]*")
_SAME = (
    (re.compile(r"\\(?:label|tag)\{[^}]*\}|\\nonumber|\\notag|\\displaystyle"), ""),
    (re.compile(r"\\(?:begin|end)\{(?:split|aligned|align\*?|equation\*?|gather\*?)\}"), ""),
    (re.compile(r"\\[,;:! ]|~|\s+"), ""),
    (re.compile(r"\\([\\_*<])"), r"\1"),
    (re.compile(r"[.,;]+(?=\$|\Z)"), ""),
)


def source_formulas(source: str, form: str) -> list[str]:
    """The formulas in Markdown, R Markdown or reStructuredText, normalised; bare numbers left out."""
    if form in ("rst", "rest"):
        found = _REST_ROLE.findall(source)
        for first, body in _REST_DIRECTIVE.findall(source):
            lines = [line for line in body.split("\n") if not re.match(r"\s*:\w+:", line)]
            found.append(" ".join([first, *lines]))
    else:
        source = re.sub(r"`[^`\n]*`", "", _FENCED_CODE.sub("", source))
        found = [next(group for group in match if group) for match in _MARKDOWN.findall(source)]
    return [tex for tex in map(normalise, found) if not _NUMBER.fullmatch(tex)]


def normalise(tex: str) -> str:
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        tex = tex.replace(entity, character)
    for pattern, replacement in _SAME:
        tex = pattern.sub(replacement, tex)
    return tex


def print_recall(pages: dict[str, Page], rows: Sequence[dict]) -> None:
    by_host: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        page = pages.get(row["url"])
        if page is None:
            continue
        texts = [normalise(run(page)) for run in (ours, plain)]
        tally = by_host[urlsplit(row["url"]).netloc]
        for tex in source_formulas(row["gold_source"], row["format"]):
            tally[0] += 1
            tally[1] += f"${tex}$" in texts[0]
            tally[2] += tex in texts[1]  # resiliparse marks no formulas: the bare string is enough
    print(f"\n{'formulas found':32} {'all':>6} {'ours':>7} {'plain':>7}")
    totals = [sum(tally[i] for tally in by_host.values()) for i in range(3)]
    for host, tally in [*sorted(by_host.items()), ("all", totals)]:
        if tally[0]:
            print(f"  {host:30} {tally[0]:6} {tally[1] / tally[0]:7.1%} {tally[2] / tally[0]:7.1%}")


# --- text ---------------------------------------------------------------------------------------------


def word_f1(text: str, gold: str) -> float:
    found, wanted = Counter(re.findall(r"\w+", text.lower())), Counter(re.findall(r"\w+", gold.lower()))
    return 2 * sum((found & wanted).values()) / max(1, sum(found.values()) + sum(wanted.values()))


def print_text_scores(pages: dict[str, Page], rows: Sequence[dict]) -> None:
    scores = []
    for row in rows:
        gold = (row["gold"].get("main_content") or "").strip()
        page = pages.get(row["url"])
        if gold and page is not None:
            scores.append((word_f1(ours(page), gold), word_f1(plain(page), gold)))
    if scores:
        means = [sum(column) / len(scores) for column in zip(*scores, strict=True)]
        print(f"\nword F1 on {len(scores)} pages: ours {means[0]:.3f}, plain {means[1]:.3f}")


if __name__ == "__main__":
    main()
