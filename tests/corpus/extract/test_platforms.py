"""Content whose truth is known, written as twenty platforms write it, comes out whole, in order, alone."""

import re
from collections.abc import Callable

import pytest

from mathwright.corpus.extract import extract
from tests.corpus.extract.platform_pages import PLATFORMS
from tests.corpus.extract.platforms import CONTENTS, MARK, Content


def squeezed(text: str) -> str:
    """Without white space, and without what differs between notations of one formula: braces around one character."""
    return re.sub(r"\{(.)\}", r"\1", re.sub(r"\s+|\\displaystyle", "", text).replace("−", "-"))


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.__name__)
@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: content.title)
def test_platform(platform: Callable[[Content], str], content: Content) -> None:
    document = extract(platform(content).encode(), "https://example.org/page")
    text, position = squeezed(document.text), 0
    for paragraph in (paragraph for texts in content.texts for paragraph in texts):
        for part in paragraph:
            wanted = squeezed(part if isinstance(part, str) else f"${part.tex}$")
            assert wanted in text[position:], document.text
            position = text.index(wanted, position) + len(wanted)
    assert MARK not in document.text, document.text
    assert document.title == content.title and not document.problem
