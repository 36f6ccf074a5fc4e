"""No regular expression that reads text of models can take more than linear time."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.superlinear import Use, superlinear

READ_TEXT_OF_MODELS = (
    "mathwright.answers.boxes",
    "mathwright.answers.choices",
    "mathwright.answers.extract",
    "mathwright.answers.formulas",
    "mathwright.answers.searched",
    "mathwright.answers.statement",
    "mathwright.judge",
    "mathwright.problems.programs",
    "mathwright.engines.server_replies",
    "mathwright.problems.formats",
    "mathwright.problems.steps",
    "mathwright.answers.arithmetic",
    "mathwright.tools.fences",
    "mathwright.tools.loop",
    "mathwright.report.tex",
)
"""Modules whose patterns run over responses of any length."""

READ_PAGES = tuple(
    f"mathwright.corpus.{name}"
    for name in [
        "formulas.asciimath",
        "crawl.page",
        "formulas.attributes",
        "formulas.delimiters",
        "formulas.dollars",
        "extract.page",
        "documents.filters",
        "formulas.images",
        "formulas.placeholders",
        "formulas.html_scripts",
        "archive.http_body",
        "formulas.katex",
        "extract.encoding",
        "extract.limits",
        "extract.markup",
        "formulas.macros",
        "extract.main_content",
        "formulas.page_config",
        "formulas.mathjax",
        "formulas.mathml.presentation",
        "formulas.mathml.leaves",
        "formulas.mathml.rows",
        "formulas.mathml.scripts",
        "text",
        "urls",
        "formulas.elements",
        "formulas.preparation",
        "formulas.image_addresses",
        "formulas.symbol_images",
        "formulas.table_layout",
        "formulas.typeset",
        "formulas.wiris",
    ]
)
"""Modules whose patterns run over pages of any length."""
EXCUSED = {
    "_BLANK_LINES": "fails only where a run of white space has one line feed",
    "_CALLIGRAPHIC": "begins at the beginning of a word alone",
    "_CLASSES": "what may go on for long ends the match wherever it stands",
    "LOOKS_LIKE_TEX": "its dollars are those at the two ends",
    "_ASCIIMATH_FILES": "reads MAX_ADDRESS characters",
    "_MARKUP": "comments without an end are taken out before",
    "_HUGE_TAG": "a tag that matches is left behind, one that does not has fewer than MAX_ATTRIBUTES",
    "_EQUATION": "a reference to a group, which a whole text has one place for",
    "_ENVIRONMENT": "a reference to a group, which a whole text has one place for",
}
"""Patterns on pages that are linear for a reason which the expression does not show."""

_USES = {"match": "match", "fullmatch": "fullmatch", "search": "search", "finditer": "search", "findall": "search"}
_USES |= {"sub": "search", "subn": "search", "split": "search"}


def _patterns(module_name: str) -> Iterator[tuple[str, re.Pattern[str], Use]]:
    """The patterns of a module by name or line, with each use that is made of them."""
    module = importlib.import_module(module_name)
    for node in ast.walk(ast.parse(Path(cast(str, module.__file__)).read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _USES):
            continue
        use, owner = cast(Use, _USES[node.func.attr]), node.func.value
        if not isinstance(owner, ast.Name):
            continue
        if owner.id == "re":
            first = ast.unparse(node.args[0])
            yield f"line {node.lineno}", re.compile(eval(first, vars(module))), use
        elif isinstance(value := getattr(module, owner.id, None), re.Pattern):
            yield owner.id, value, use


CASES = list(
    dict.fromkeys(
        (module, name, pattern, use) for module in READ_TEXT_OF_MODELS for name, pattern, use in _patterns(module)
    )
)


@pytest.mark.parametrize(
    ("pattern", "use"), [case[2:] for case in CASES], ids=[" ".join((*case[:2], case[3])) for case in CASES]
)
def test_patterns_on_text_of_models_are_linear(pattern: re.Pattern[str], use: Use):
    assert superlinear(pattern, use) is None


ON_PAGES = list(
    dict.fromkeys(
        (module, name, pattern, use)
        for module in READ_PAGES
        for name, pattern, use in _patterns(module)
        if isinstance(pattern.pattern, str)  # those of bytes read the first kilobytes of a page
    )
)


@pytest.mark.parametrize(
    ("name", "pattern", "use"),
    [case[1:] for case in ON_PAGES],
    ids=[" ".join((*case[:2], case[3])) for case in ON_PAGES],
)
def test_patterns_on_pages_are_linear(name: str, pattern: re.Pattern[str], use: Use):
    if name not in EXCUSED:
        assert superlinear(pattern, use) is None


def test_no_excuse_is_for_a_pattern_that_is_gone():
    assert set(EXCUSED) <= {case[1] for case in ON_PAGES}


def test_the_patterns_are_found():
    assert len(CASES) >= 60
    assert {case[0] for case in CASES} >= {
        "mathwright.answers.extract",
        "mathwright.answers.arithmetic",
        "mathwright.tools.fences",
    }


@pytest.mark.parametrize(
    ("expression", "use"),
    [
        (r"(?:\s|and|[a-z]+(?=and))*\.", "fullmatch"),  # a word is one alternative and many
        (r"(a+)*b", "match"),
        (r"(?:ab|a|b)*c", "match"),
        (r"\s*,?\s*x", "match"),
        (r"\s*\.?\s*I hope.*", "search"),
        (r"####[ \t]*(.+?)[ \t]*$", "match"),
        (r"\d+x", "search"),  # each digit begins a search of its own
        (r"```.*?```", "search"),
        (r"[^`]*\w*$", "fullmatch"),
    ],
)
def test_patterns_that_are_not_linear_are_known(expression: str, use: Use):
    assert superlinear(re.compile(expression), use) is not None


@pytest.mark.parametrize(
    ("expression", "use"),
    [
        (r"\s*+,?+\s*+x", "match"),
        (r"(?<!\d)\d+x", "search"),
        (r"\d+", "search"),
        (r"(?:\s++|and|,)*+x", "match"),
        (r"^[ \t]*```", "search"),
        (r"a{1,60}?a{1,60}b", "match"),
        (r"[^,]*,[^,]*,", "match"),
    ],
)
def test_patterns_that_are_linear_pass(expression: str, use: Use):
    assert superlinear(re.compile(expression, re.MULTILINE), use) is None
