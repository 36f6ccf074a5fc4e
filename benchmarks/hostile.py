"""Time that text made to cost time takes, at n, 2n and 4n: answers, responses, pages and archives.

    python benchmarks/hostile.py [--limit-s 20] [--only WORD ...]

A family is a way to write such a text of any length. Each measurement runs in a process of its own, which ends after
`--limit-s` seconds ("over"). Linear families double from column to column once they take more than a few milliseconds;
those that are cut at a length (answers, the end of a response) stay where they are. The table goes to stdout.
The work itself (characters visited, comparisons) is counted in the tests.
"""

from __future__ import annotations

import argparse
import gzip
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

SIZES = (1, 2, 4)
ARC_LINE = "http://a.example/ 1.2.3.4 20200101000000 text/html 99999999\n"


class Family(NamedTuple):
    """How a text of about n characters is written, and what reads it."""

    read: str
    n: int
    text: Callable[[int], str]


def nested(start: str, end: str, inner: str) -> Callable[[int], str]:
    """Elements 900 deep around a growing number of others."""
    return lambda n: "<p>math" + start * 900 + inner * (n // len(inner)) + end * 900


FAMILIES = {
    "boxes joined by words": Family("response", 200, lambda n: r"\boxed{1}" + " and" * (n // 4) + r" the \boxed{2}"),
    "blanks after 'final answer is'": Family("response", 20_000, lambda n: "final answer is" + " " * n),
    "blanks in an answer": Family("response", 20_000, lambda n: "the answer is x" + " " * n + "y"),
    "newlines": Family("response", 20_000, lambda n: "\n" * n + "answer"),
    "blanks after hashes": Family("response", 20_000, lambda n: "#### a" + " " * n + "b"),
    "many phrases": Family("response", 20_000, lambda n: "the answer is " * (n // 14)),
    "open boxes": Family("response", 20_000, lambda n: r"\boxed{" * (n // 7)),
    "open thoughts": Family("response", 20_000, lambda n: "<think>" * (n // 7)),
    "open fences": Family("response", 20_000, lambda n: "```python\n" * (n // 10)),
    "lists": Family("answers", 400, lambda n: "1," * (n // 2) + "\0" + "2," * (n // 2)),
    "sets in another order": Family(
        "answers", 400, lambda n: ",".join(f"{i}" for i in range(n // 4)) + "\0" + ",".join(
            f"{i}" for i in reversed(range(n // 4)))
    ),
    "brackets": Family("answers", 400, lambda n: "(" * (n // 2) + ")" * (n // 2) + "\0" + "1"),
    "environments": Family("answers", 400, lambda n: r"\begin{pmatrix}1," * (n // 17) + "\0" + "1"),
    "digits": Family("answers", 400, lambda n: "9" * n + "\0" + "1 " * (n // 2)),
    "braces open at every closing": Family(
        "page", 20_000, lambda n: ("<p>" + "\\({" * 1000 + "</p><p>" + "\\)" * 8 + "</p>") * (n // 3000)
    ),
    "a word between dollars": Family("page", 7000, lambda n: "<p>$$" + "a" * n + "$$</p>"),
    "base64 in brackets": Family("page", 7000, lambda n: "<p>\\[" + "QUJD" * (n // 4) + "\\]</p>"),
    "containers in containers": Family("page", 100_000, nested("<mjx-container>", "</mjx-container>", "<b>x</b>")),
    "spans in spans": Family("page", 100_000, nested("<span class=math>", "</span>", "<b>x</b>")),
    "rows in rows": Family(
        "page", 100_000, nested("<tr class=ltx_eqn_row><td><table>", "</table></td></tr>", "<tr><td><math>x</math>")
    ),
    "equation without end": Family(
        "page", 4000, lambda n: '<script type="math/tex">\\begin{equation}' + " " * n + "x</script>"
    ),
    "terms": Family("page", 60, lambda n: "<p>math<span class=math>" + "a+" * (n // 2) + "a  a</span>"),
    "commands in a modulus": Family(
        "page", 300, lambda n: "<math><mo>(</mo><mi>mod</mi>" + "<mi>&alpha;</mi>" * (n // 16) + "</math>"
    ),
    "attributes": Family("links", 160_000, lambda n: "<p " + " ".join(f"a{i}=1" for i in range(n // 8)) + ">x"),
    "formulas without end": Family("words", 20_000, lambda n: "\\[" * (n // 4) + "\\begin{align}" * (n // 26)),
    "lines WARC/1.0": Family("warc", 20_000, lambda n: "WARC/1.0\r\n" * (n // 10)),
    "lengths beyond the file": Family(
        "warc.gz",
        100_000,
        lambda n: "\0".join(
            f"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: {10**9}\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx\r\n\r\n"
            for _ in range(n // 100)
        ),
    ),
    "lines of ARC": Family("arc", 20_000, lambda n: ARC_LINE * (n // len(ARC_LINE))),
}  # fmt: skip


def read(kind: str, text: str) -> None:
    """What a stage does with such a text."""
    if kind == "response":
        from mathwright.answers import extract_answer

        extract_answer(text)
    elif kind == "answers":
        from mathwright.answers import check_answer

        check_answer(*text.split("\0"), timeout_s=5)
    elif kind == "page":
        from mathwright.corpus.extract import extract

        extract(text.encode(), "http://a.example/")
    elif kind == "links":
        from mathwright.corpus.crawl.page import read_page

        read_page(text.encode(), "http://a.example/", charset=None, classifier=None)
    elif kind == "words":
        from mathwright.corpus.documents.filters import mask_tex

        mask_tex(text)
    else:
        read_archive(kind, text)


def read_archive(kind: str, text: str) -> None:
    """A damaged archive; records that a NUL parts are compressed one by one."""
    from mathwright.corpus.archive import read_pages

    records = [part.encode() for part in text.split("\0")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind}"
        path.write_bytes(b"".join(map(gzip.compress, records)) if kind.endswith(".gz") else b"".join(records))
        for _ in read_pages(path):
            pass


def measure(name: str, size: int, limit_s: float) -> str:
    """Seconds in a process of its own, "over" behind the limit."""
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--one", name, str(size)],
            capture_output=True,
            text=True,
            timeout=limit_s + 20,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "over"
    if done.returncode:
        return done.stderr.strip().splitlines()[-1][:40]
    seconds = float(done.stdout)
    return "over" if seconds > limit_s else f"{seconds:.3f}"


def run_one(name: str, size: int) -> None:
    """Seconds of processor and waiting time for one text, imports and a first small one left out."""
    family = FAMILIES[name]
    read(family.read, family.text(max(1, family.n // 50)))
    text = family.text(family.n * size)
    start = time.perf_counter()
    read(family.read, text)
    print(time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--limit-s", type=float, default=20)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--one", nargs=2, metavar=("FAMILY", "SIZE"))
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one[0], int(arguments.one[1]))
        return
    print("| read as | family | characters | n | 2n | 4n |\n|---|---|---|---|---|---|")
    for name, family in FAMILIES.items():
        if arguments.only and not any(word in name or word == family.read for word in arguments.only):
            continue
        cells = []
        for size in SIZES:
            cells.append(measure(name, size, arguments.limit_s))
            if cells[-1] == "over":
                break
        cells += [""] * (len(SIZES) - len(cells))
        print(f"| {family.read} | {name} | {len(family.text(family.n)):,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
