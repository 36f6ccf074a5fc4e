"""Docstrings as people write them (numpydoc, Google style, dollars, Markdown fences) into plain reStructuredText.

Text in, text out. Code (doctests, literal blocks) passes unchanged; what the rules do not know passes unchanged too,
since docutils renders most of it sensibly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

NUMPYDOC_LISTS = {
    "parameters", "other parameters", "returns", "yields", "receives", "raises", "warns", "attributes", "methods",
    "keyword arguments", "keyword parameters",
}  # fmt: skip
NUMPYDOC_TEXTS = {
    "notes", "note", "examples", "example", "references", "reference", "explanation", "warnings", "see also", "usage",
    "description", "algorithm", "implementation notes", "short summary", "todo", "extended summary", "signature",
}  # fmt: skip
GOOGLE_LISTS = {
    "args", "arguments", "parameters", "params", "returns", "return", "yields", "raises", "attributes", "kwargs",
    "keyword args", "keyword arguments", "keyword arg", "other parameters", "inputs", "outputs",
}  # fmt: skip
GOOGLE_TEXTS = {"shape", "example", "examples", "note", "notes", "references", "warning", "usage", "see also", "todo"}

_UNDERLINE = re.compile(r"([=\-~^\"'`#*+:.])\1{2,}\s*$")
_FENCE = re.compile(r"(\s*)(```+|~~~+)\s*([\w+-]*)\s*$")
_SPACED_DIRECTIVE = re.compile(r"^(\s*\.\. [\w:-]*\w)\s+::")
_GOOGLE_HEADER = re.compile(r"^(\s*)([A-Z][A-Za-z ]{2,20}):\s*$")
_GOOGLE_ITEM = re.compile(r"^(\*{0,2}[\w.`]+(?:,\s*\*{0,2}[\w.`]+)*)\s*(\([^)]*(?:\([^)]*\)[^)]*)*\))?\s*:\s+(.*)$")
_SEE_ALSO = re.compile(r"^((?::\w+:)?[`~\w.]+(?:\s*,\s*(?::\w+:)?[`~\w.]+)*)\s*,?(?:\s*:\s*(.*))?$")
_DOLLARS = re.compile(r"(?<![\\$`\w])\$(?=[^\s$`])([^$`]{1,400}?)(?<![\s\\])\$(?![\w$`])", re.DOTALL)
_TEX_SIGN = re.compile(r"[\\^_=<>+*/()|{]|^-?\w{1,2}'?$")


def to_rest(doc: str) -> str:
    """A cleaned docstring (no common indent) as reStructuredText that docutils alone can read."""
    lines = [line.rstrip().expandtabs() for line in doc.strip("\n").splitlines()]
    lines = list(_fences(lines))
    lines = list(_separate_doctests(lines))
    lines = _numpydoc(lines)
    lines = _google(lines)
    return _dollars("\n".join(_SPACED_DIRECTIVE.sub(r"\1::", line) for line in lines))


def _fences(lines: list[str]) -> Iterator[str]:
    """Markdown's fenced code blocks become literal blocks."""
    indent: str | None = None
    for line in lines:
        fence = _FENCE.match(line)
        if fence and indent is None:
            indent = fence.group(1)
            yield from ("", f"{indent}::", "")
        elif fence:
            indent = None
            yield ""
        else:
            yield f"    {line}" if indent is not None else line


def _separate_doctests(lines: list[str]) -> Iterator[str]:
    """A doctest that follows text without an empty line between is given one."""
    before = ""
    in_doctest = False
    for line in lines:
        starts = line.lstrip().startswith(">>>")
        if starts and not in_doctest and before.strip():
            yield ""
        in_doctest = bool(line.strip()) and (in_doctest or starts)
        yield line
        before = line


def _numpydoc(lines: list[str]) -> list[str]:
    """Underlined section names become rubrics, their entries definition lists."""
    result: list[str] = []
    index = 0
    while index < len(lines):
        title = lines[index].strip().rstrip(":").lower()
        underlined = index + 1 < len(lines) and _UNDERLINE.match(lines[index + 1].strip())
        if not (underlined and (title in NUMPYDOC_LISTS or title in NUMPYDOC_TEXTS)):
            result.append(lines[index])
            index += 1
            continue
        end = _section_end(lines, index + 2)
        body = lines[index + 2 : end]
        result += ["", f".. rubric:: {lines[index].strip().rstrip(':')}", ""]
        if title in NUMPYDOC_LISTS:
            result += _numpydoc_items(body)
        elif title == "see also":
            result += _see_also(body)
        else:
            result += body
        result.append("")
        index = end
    return result


def _section_end(lines: list[str], start: int) -> int:
    """Index of the next underlined title, or the end."""
    for index in range(start, len(lines) - 1):
        text = lines[index]
        if text.strip() and not text.startswith(" ") and _UNDERLINE.match(lines[index + 1]):
            return index
    return len(lines)


def _numpydoc_items(body: list[str]) -> list[str]:
    """`x : array_like` with its indented description is a definition list; stars in names are no emphasis."""
    return [_escape_term(line) if line and not line.startswith((" ", "..")) else line for line in body]


def _escape_term(line: str) -> str:
    name, colon, rest = line.partition(" : ")
    return re.sub(r"(\*|_(?=\s|,|$))", r"\\\1", name) + colon + rest


def _see_also(body: list[str]) -> list[str]:
    """Names become cross references; a description stands after its names."""
    result: list[str] = []
    for line in body:
        match = _SEE_ALSO.match(line)
        if match is None:
            result.append(line)
            continue
        names = [name if name.startswith(":") else f":obj:`{name.strip('`')}`" for name in _names(match.group(1))]
        result += ["", ", ".join(names) + (f" : {match.group(2)}" if match.group(2) else "")]
    return result


def _names(text: str) -> list[str]:
    return [name for name in re.split(r"[\s,]+", text) if name.strip("`~.")]


def _google(lines: list[str]) -> list[str]:
    """`Args:` and its indented block become a rubric and a definition list; `Shape:`, `Note:` a rubric and text."""
    result: list[str] = []
    index = 0
    while index < len(lines):
        header = _GOOGLE_HEADER.match(lines[index])
        name = header.group(2).lower() if header else ""
        if header is None or not (name in GOOGLE_LISTS or name in GOOGLE_TEXTS):
            result.append(lines[index])
            index += 1
            continue
        margin = header.group(1)
        end = index + 1
        while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > len(margin)):
            end += 1
        body = _dedent(lines[index + 1 : end])
        if any(body):
            result += ["", f"{margin}.. rubric:: {header.group(2)}", ""]
            body = list(_google_items(body)) if name in GOOGLE_LISTS else body
            result += [margin + line if line else "" for line in body]
            result.append("")
        else:
            result.append(lines[index])
        index = end
    return result


def _google_items(body: list[str]) -> Iterator[str]:
    """`name (type): text` becomes a term with its type and an indented definition."""
    for line in body:
        item = None if line.startswith(" ") else _GOOGLE_ITEM.match(line)
        if item is None:
            yield line
            continue
        name, kind, text = item.groups()
        yield ""
        yield _escape_term(name) + (f" : {kind[1:-1]}" if kind else "")
        if text:
            yield f"    {text}"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _dedent(lines: list[str]) -> list[str]:
    """Remove the indent of the first line; later lines keep what they have beyond it."""
    margin = next((_indent(line) for line in lines if line.strip()), 0)
    return [line[min(margin, _indent(line)) :] for line in lines]


def _dollars(text: str) -> str:
    """`$x^2$` becomes the math role and `$$x^2$$` a math block, outside code; prices and shell variables stay."""
    if "$" not in text:
        return text
    return "".join(part if is_code else _dollars_in_prose(part) for is_code, part in _split_code(text))


def _dollars_in_prose(text: str) -> str:
    def block(match: re.Match[str]) -> str:
        tex = " ".join(match.group(2).split())
        return f"\n\n{match.group(1)}.. math:: {tex}\n\n"

    def inline(match: re.Match[str]) -> str:
        tex = " ".join(match.group(1).split())
        if not _TEX_SIGN.search(tex):
            return match.group(0)
        return f":math:`{tex}`\\ "

    text = re.sub(r"\n?([ ]*)(?<!\S)\$\$([^$]{1,2000}?)\$\$(?!\S)", block, text)
    return _DOLLARS.sub(inline, text)


def _split_code(text: str) -> Iterator[tuple[bool, str]]:
    """The text as (is code, stretch): doctests, literal blocks, math directives and ``literals`` are code."""
    stretch: list[str] = []
    code = False
    literal_margin: int | None = None  # inside a literal block: the indent of the paragraph that opened it
    in_doctest = False
    before = ""
    for line in text.splitlines(keepends=True):
        blank = not line.strip()
        if literal_margin is not None and not blank and _indent(line) <= literal_margin:
            literal_margin = None
        in_doctest = not blank and (in_doctest or line.lstrip().startswith(">>>"))
        is_code = literal_margin is not None or in_doctest
        if is_code != code and stretch:
            yield from _split_literals(code, "".join(stretch))
            stretch = []
        code = is_code
        stretch.append(line)
        if not blank:
            before = line.rstrip()
            directive = re.match(r"\s*\.\. (math|code|code-block|sourcecode|plot|testcode|doctest)::", before)
            if literal_margin is None and not in_doctest and (before.endswith("::") or directive):
                literal_margin = _indent(line)
    if stretch:
        yield from _split_literals(code, "".join(stretch))


def _split_literals(code: bool, text: str) -> Iterator[tuple[bool, str]]:
    if code:
        yield True, text
        return
    for index, part in enumerate(re.split(r"(``.+?``|:\w+:`[^`]*`)", text)):
        yield index % 2 == 1, part
