"""Pages made to cost time cost no more than their length: work is counted at n and at 2n, not timed."""

import re
from collections.abc import Callable

import pytest
from resiliparse.parse.html import HTMLTree

from mathwright.corpus.documents import filters
from mathwright.corpus.formulas import attributes, delimiters, elements, page_config, placeholders
from mathwright.corpus.formulas.mathml import presentation
from mathwright.corpus.formulas.placeholders import Formulas

TOLERANCE = 1.2


def grows_linearly(work: Callable[[int], int], n: int) -> bool:
    """Whether twice the input is at most twice the work."""
    return 0 < work(2 * n) <= 2 * TOLERANCE * work(n)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lambda n: ("\\({" * 1000 + "\n\n" + "\\)" * 8) * n, id="braces open at every closing"),
        pytest.param(lambda n: ("\\(" * 1000 + " ](#a) " + "\\)") * n, id="what is closed is a link"),
        pytest.param(lambda n: ("\\begin{align}{" * 300 + "\\end{align}" * 8) * n, id="environments"),
        pytest.param(lambda n: ("$" + "{" * 900) * n, id="single dollars"),
        pytest.param(lambda n: ("$$" + "\\[{" * 1000 + "\\]") * n, id="kinds in turns"),
    ],
)
def test_partners_of_delimiters_are_read_in_linear_time(
    text: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[delimiters._Closings] = []
    original = delimiters._Closings.__init__

    def keep(self: delimiters._Closings, *arguments: object) -> None:
        original(self, *arguments)  # type: ignore[arg-type]
        made.append(self)

    monkeypatch.setattr(delimiters._Closings, "__init__", keep)

    def num_read(n: int) -> int:
        delimiters.find_delimited(text(n), Formulas())
        return made[-1].num_read

    assert grows_linearly(num_read, 20)
    assert num_read(40) <= 60 * len(text(40)) + 60 * delimiters.MAX_DISPLAY


@pytest.mark.parametrize("tex", [r"a\{b", r"a\\{b", r"\\\\{", "{a}{", r"{\}", r"\}{"])
def test_open_braces_are_those_that_no_backslash_escapes(tex: str) -> None:
    depth = sum({"{": 1, "}": -1}.get(mark, 0) for mark in re.findall(r"\\.|[{}]", tex))
    text = "{{ $" + tex + "$ }"
    closings = delimiters._Closings(text, Formulas())
    start = text.index("$") + 1
    opened = tex.count("{") > tex.count("}")
    assert closings._open_braces(start, start + len(tex)) == (opened and depth > 0)


NESTED = {
    "mjx-container": "<mjx-container>",
    "MathJax": "<span class='MathJax' id='MathJax-Element-1'>",
    "span.math": "<span class='math'>",
    "katex": "<span class='katex katex-x'>",
    "mwe": "<span class='mwe-math-element'>",
    "data-math": "<span data-math='a math'>",
}


@pytest.mark.parametrize("name", NESTED)
def test_elements_inside_one_another_without_a_formula_are_read_a_few_times(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = NESTED[name]
    end = "</mjx-container>" if name == "mjx-container" else "</span>"

    def num_read(depth: int) -> int:
        """Elements read one by one: each read visits all that stands in it."""
        read: list[str] = []  # not the elements: they may only be dropped by the thread that parsed them
        counted = tuple(
            reader._replace(read=lambda node, reader=reader: (read.append(node.tag), reader.read(node))[1])
            for reader in elements._READERS
        )
        monkeypatch.setattr(elements, "_READERS", counted)
        source = "<p>math" + start * depth + "<b>x</b>" * 1000 + end * depth
        elements.replace_elements(HTMLTree.parse(source), elements.SIGNS)
        monkeypatch.undo()
        return len(read)

    assert num_read(300) == num_read(600) <= elements._UNCOUNTED + elements.MAX_DEPTH + 10


def test_a_formula_inside_a_few_elements_without_one_is_found() -> None:
    source = "<p>math" + "<span class='math'>x <i>" * 4 + "<span class='math'>\\(a_1\\)</span>" + "</i></span>" * 4
    tree = HTMLTree.parse(source)
    found = elements.replace_elements(tree, elements.SIGNS)
    assert found.tex == ["a_1"]


@pytest.mark.parametrize("text", ["\\[", "\\(", "\\begin{align}", "$$\\[", "\\begin{align}\\begin{cases}"])
def test_formulas_without_an_end_are_looked_for_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = [0]

    class Counting:
        def __init__(self, pattern: re.Pattern[str]) -> None:
            self.pattern = pattern

        def search(self, source: str, start: int) -> re.Match[str] | None:
            match = self.pattern.search(source, start)
            read[0] += (len(source) if match is None else match.end()) - start
            return match

    monkeypatch.setattr(filters, "_CLOSINGS", {name: Counting(p) for name, p in filters._CLOSINGS.items()})

    def num_read(n: int) -> int:
        read[0] = 0
        filters.mask_tex(text * n + "x")
        return read[0]

    assert grows_linearly(num_read, 500)


# Of patterns the work cannot be counted from outside. Each of these took the square, the cube or a power of the length
# (seconds to centuries at this size): that the call returns at all is the test, and the length leaves no doubt.
LONG = 200_000


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        pytest.param(attributes._SHORT_FORMULA, "a+" * LONG + "a  a", id="terms"),
        pytest.param(attributes._SHORT_FORMULA, "+" * LONG + "  ", id="operators"),
        pytest.param(presentation._MOD, "(\\mathrm{mod}" + "\\alpha" * LONG + "(", id="commands in a modulus"),
        pytest.param(presentation._MOD, "(\\mathrm{mod}" + " " * LONG + "(", id="spaces in a modulus"),
        pytest.param(placeholders._EQUATION, "\\begin{equation}" + " " * LONG + "x", id="equation without end"),
        pytest.param(placeholders._WRAPPED, "{\\displaystyle" + " " * LONG + "x", id="group without end"),
        pytest.param(page_config._ASCIIMATH_FILES, "mathjax?" * 500, id="address of a script"),
    ],
)
def test_patterns_return(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.match(text) is None


@pytest.mark.parametrize("word", ["a" * LONG, "QUJD" * LONG, "ab " * 5 + "a" * LONG])
@pytest.mark.parametrize("judge", ["is_display_formula", "is_configured_formula", "is_inline_formula"])
def test_a_long_word_between_dollars_is_read_once(judge: str, word: str) -> None:
    from mathwright.corpus.formulas import dollars

    assert isinstance(getattr(dollars, judge)(word), bool)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("a+b", True),
        ("x = 12", True),
        ("f(x)", True),
        ("1 - 2/3", True),
        ("-x", True),
        ("α ≤ β", False),
        ("abc", False),
        ("a b", False),
        ("a  + b", False),
        ("a + b, c", True),
        ("x1234567890123", False),
    ],
)
def test_short_formulas(text: str, short: bool) -> None:
    assert (attributes._SHORT_FORMULA.match(text) is not None) == short


def test_only_the_first_delimiters_that_a_page_defines_are_looked_for() -> None:
    config = page_config.MathConfig(inline=tuple((f"<{i}<", f">{i}>") for i in range(1000)))
    assert len(config.custom()) == page_config.MAX_DELIMITERS
