"""What the two extraction benchmarks share: sides in processes of their own, and scores of text and of formulas."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from hashlib import sha1
from pathlib import Path

from mathwright.corpus.archive import read_pages
from mathwright.corpus.extract import decode
from mathwright.records import Page


def read_rows(path: str) -> list[dict]:
    with gzip.open(path, "rt") if path.endswith(".gz") else open(path) as file:  # noqa: PTH123 (one name for both)
        return [json.loads(line) for line in file]


def archive_pages(archives: Sequence[str]) -> dict[str, Page]:
    return {item.url: item for path in archives for item in read_pages(path) if isinstance(item, Page)}


def held_out(url: str) -> bool:
    """Whether a page is in the half that nobody looks at while rules are made."""
    return int(sha1(url.encode()).hexdigest()[-1], 16) % 2 == 0


# --- sides, each in a process of its own ---------------------------------------------------------------


def write_pages(pages: Iterable[Page], path: Path) -> None:
    """Pages for the sides: the bytes (as Latin-1 text), and the characters, so that nobody loses by the charset."""
    with path.open("w") as file:
        for page in pages:
            row = {"url": page.url, "charset": page.charset, "body": page.html.decode("latin-1")}
            file.write(json.dumps({**row, "html": decode(page.html, page.charset)}) + "\n")


class Side:
    """An extractor in a process of its own, which waits for commands (see extraction_sides.py)."""

    def __init__(self, name: str, python: str, pages: Path) -> None:
        self.name = name
        command = [python, str(Path(__file__).with_name("extraction_sides.py")), name, str(pages)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command: str) -> dict:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} failed: see above; hint: does its python have the package?")
        return json.loads(answer)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


# --- text ---------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
"""A word; in scripts without spaces between words, a character."""


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())


def precision_recall_f1(found: Sequence[str], wanted: Sequence[str]) -> tuple[float, float, float]:
    same = sum((Counter(found) & Counter(wanted)).values())
    return same / max(1, len(found)), same / max(1, len(wanted)), 2 * same / max(1, len(found) + len(wanted))


def edit_similarity(first: Sequence[str], second: Sequence[str]) -> float:
    """2 L / (m + n), with L the longest common subsequence (Hyyrö's bit vectors): 1 for equal, order counts."""
    if not first and not second:
        return 1.0
    places: dict[str, int] = {}
    for index, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << index
    full = (1 << len(first)) - 1
    row = full
    for token in second:
        matches = row & places.get(token, 0)
        row = ((row + matches) | (row - matches)) & full
    return 2 * (len(first) - row.bit_count()) / (len(first) + len(second))


def share_found(snippets: Iterable[str], text: Sequence[str], *, but_not_in: Sequence[str] = ()) -> float | None:
    """Share of snippets that stand in a text word for word; None where there is none to look for."""
    whole, other = f" {' '.join(text)} ", f" {' '.join(but_not_in)} "
    wanted = [f" {' '.join(tokens(snippet))} " for snippet in snippets]
    wanted = [snippet for snippet in wanted if snippet.strip() and snippet not in other]
    return sum(snippet in whole for snippet in wanted) / len(wanted) if wanted else None


# --- formulas -----------------------------------------------------------------------------------------

_FENCED_CODE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.DOTALL | re.MULTILINE)
_DELIMITED = re.compile(
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
        return _normalised(found)
    return delimited_formulas(re.sub(r"`[^`\n]*`", "", _FENCED_CODE.sub("", source)))


def delimited_formulas(text: str) -> list[str]:
    """The formulas that stand between delimiters in a text, normalised; bare numbers left out."""
    return _normalised([next(group for group in match if group) for match in _DELIMITED.findall(text)])


def _normalised(found: Iterable[str]) -> list[str]:
    return [tex for tex in map(normalise, found) if not _NUMBER.fullmatch(tex)]


def normalise(tex: str) -> str:
    """TeX without what says the same in another way: spaces, labels, outer environments, Markdown's escapes."""
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        tex = tex.replace(entity, character)
    for pattern, replacement in _SAME:
        tex = pattern.sub(replacement, tex)
    return tex


def closest(tex: str, candidates: Iterable[str]) -> float:
    """Similarity (0 to 1, of characters) of the candidate most like a formula, among those of like length."""
    best = 0.0
    for other in candidates:
        if 2 * min(len(tex), len(other)) > best * (len(tex) + len(other)):
            matcher = SequenceMatcher(None, tex, other, autojunk=False)
            if matcher.quick_ratio() > best:
                best = max(best, edit_similarity(tex, other))
    return best
