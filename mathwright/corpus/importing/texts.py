"""From a row as its publisher wrote it to the text of a document: one function a rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Row = Mapping[str, Any]


class NoTextError(ValueError):
    """A row without a text; the message is one of few phrases, so that they can be counted."""


TextRule = Callable[[Row], tuple[str, dict[str, Any]]]
"""The text of a row, and what else it holds, which is kept as metadata. Raises NoTextError."""


def column(name: str) -> TextRule:
    """The text is a column."""

    def read(row: Row) -> tuple[str, dict[str, Any]]:
        if name not in row:
            raise NoTextError(f"no field `{name}`")
        value = row[name]
        if value is None:
            raise NoTextError(f"`{name}` is null")
        if not isinstance(value, str):
            raise NoTextError(f"`{name}` is no text")
        return value, _without(row, name)

    return read


def _without(row: Row, *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


# --- MathPile -------------------------------------------------------------------------------------


def mathpile(row: Row) -> tuple[str, dict[str, Any]]:
    """`text`; of StackExchange, which has none, the question's title and body and the bodies of its answers.

    Source: github.com/GAIR-NLP/MathPile src/global_data_processing/filtering.py, which reads question["Body"] and
    answers[i]["Body"]. Those bodies are HTML where they come from the dump as it is.
    """
    if "text" in row or "question" not in row:
        return column("text")(row)
    question = row["question"]
    answers = row.get("answers") or []
    if not isinstance(question, Mapping) or not isinstance(answers, list):
        raise NoTextError("`question` or `answers` of another form")
    posts = [question, *(answer for answer in answers if isinstance(answer, Mapping))]
    bodies = [_post(post.get("Body")) for post in posts]
    title = question.get("Title")
    texts = [title.strip() if isinstance(title, str) else "", *bodies]
    heads = [_without(post, "Body", "Title") for post in posts]
    rest = {**_without(row, "question", "answers"), "question": heads[0], "answers": heads[1:]}
    return "\n\n".join(filter(None, texts)), rest


_TAG = re.compile(r"</?(?:p|pre|code|a|em|strong|blockquote|ul|ol|li|h[1-6]|br|hr|img)(?:\s[^<>]*)?/?>")


def _post(body: Any) -> str:
    """The text of a post; formulas stand between dollars in its HTML too."""
    if not isinstance(body, str):
        return ""
    if not _TAG.search(body):
        return body.strip()
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    return extract_plain_text(HTMLTree.parse(body), main_content=False).strip()


# --- InfiMM-WebMath -------------------------------------------------------------------------------


def infimm(row: Row) -> tuple[str, dict[str, Any]]:
    """`text_list` is the page cut at its images, null where one stands: all pieces, and not only the first."""
    pieces = row.get("text_list")
    if "text_list" not in row:
        raise NoTextError("no field `text_list`")
    if not isinstance(pieces, list):
        raise NoTextError("`text_list` is no list")
    text = "\n\n".join(piece for piece in pieces if isinstance(piece, str) and piece.strip())
    return text, _without(row, "text_list")


# --- StarCoderData --------------------------------------------------------------------------------

_MARKERS = re.compile(r"<reponame>[^<\n]*|<filename>[^<\n]*|<gh_stars>[^<\n]*")


def starcoder(row: Row) -> tuple[str, dict[str, Any]]:
    """`content` without the markers of repository, file and stars with which most begin; its columns say the same."""
    content, rest = column("content")(row)
    start = 0
    while marker := _MARKERS.match(content, start):
        start = marker.end()
    return content[start:].removeprefix("\n") if start else content, rest
