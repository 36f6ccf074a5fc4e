"""Pages as twenty platforms write them, made by us: content whose truth is known, in the markup of each.

Words of boilerplate carry MARK, so that what is kept of it shows. Formulas are built as TeX and as MathML at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

MARK = "zzq"
"""Stands in every text that is no content."""


@dataclass(frozen=True)
class Formula:
    tex: str
    mathml: str
    display: bool = False

    def shown(self) -> Formula:
        return Formula(self.tex, self.mathml, display=True)

    def __add__(self, other: Formula) -> Formula:
        return Formula(self.tex + other.tex, self.mathml + other.mathml)


Part = str | Formula
Paragraph = Sequence[Part]


@dataclass(frozen=True)
class Content:
    """A title, a first text (a question, a lesson), and two more (answers, sections)."""

    title: str
    texts: tuple[tuple[Paragraph, ...], ...]


def i(name: str) -> Formula:
    return Formula(name, f"<mi>{name}</mi>")


def n(number: str) -> Formula:
    return Formula(number, f"<mn>{number}</mn>")


def o(tex: str, sign: str = "") -> Formula:
    return Formula(f" {tex} ", f"<mo>{escape(sign or tex)}</mo>")


def frac(above: Formula, below: Formula) -> Formula:
    mathml = f"<mfrac><mrow>{above.mathml}</mrow><mrow>{below.mathml}</mrow></mfrac>"
    return Formula(rf"\frac{{{above.tex}}}{{{below.tex}}}", mathml)


def sup(base: Formula, script: Formula) -> Formula:
    return Formula(f"{base.tex}^{{{script.tex}}}", f"<msup>{base.mathml}<mrow>{script.mathml}</mrow></msup>")


def sub(base: Formula, script: Formula) -> Formula:
    return Formula(f"{base.tex}_{{{script.tex}}}", f"<msub>{base.mathml}<mrow>{script.mathml}</mrow></msub>")


def root(inner: Formula) -> Formula:
    return Formula(rf"\sqrt{{{inner.tex}}}", f"<msqrt>{inner.mathml}</msqrt>")


X, Y, N, A, B, ONE, TWO = i("x"), i("y"), i("n"), i("a"), i("b"), n("1"), n("2")
EQUALS, PLUS, MINUS, LEQ = o("="), o("+"), o("-", "−"), o(r"\leq", "≤")
_FORMULAS = [
    (sup(X, TWO), frac(ONE, X + PLUS + ONE) + EQUALS + Y),
    (sub(A, N), root(X + PLUS + Y) + LEQ + A),
    (frac(A, B), sup(A, TWO) + PLUS + sup(B, TWO) + EQUALS + sup(i("c"), TWO)),
    (root(TWO), frac(sup(X, N), N) + MINUS + ONE + EQUALS + Y),
    (X + LEQ + Y, sub(X, N + PLUS + ONE) + EQUALS + TWO + sub(X, N)),
    (sup(TWO, N), frac(N + PLUS + ONE, TWO) + EQUALS + B),
    (A + PLUS + B, sup(X, A + PLUS + B) + EQUALS + sup(X, A) + sup(X, B)),
    (sub(X, ONE), root(frac(A, B)) + EQUALS + frac(root(A), root(B))),
    (Y + EQUALS + X, sup(Y, frac(ONE, TWO)) + EQUALS + root(Y)),
    (frac(ONE, N), sub(A, ONE) + PLUS + sub(A, TWO) + LEQ + n("10")),
]
_WORDS = [
    ("Squares and hyperbolas", "a curve whose slope falls", "Multiply both sides first."),
    ("Bounded sequences", "a sequence that never leaves a strip", "Compare it with the largest term."),
    ("Right triangles", "a triangle with one right angle", "Cut the square into four pieces."),
    ("Approximating a root", "a number that is no ratio", "Take the average of both guesses."),
    ("Doubling again", "a recurrence of the first order", "Unroll it until the start."),
    ("Counting subsets", "a set with finitely many elements", "Each element is in or out."),
    ("Laws of powers", "a product of equal factors", "Count the factors on both sides."),
    ("Roots of fractions", "a fraction below a radical", "Square what you want to show."),
    ("二次根式的化简", "一个含有根号的式子", "先把两边平方再比较。"),
    ("级数的部分和", "一个逐项减小的数列", "用前两项估计其余各项。"),
]


def _content(words: tuple[str, str, str], formulas: tuple[Formula, Formula]) -> Content:
    title, about, hint = words
    inline, shown = formulas[0], formulas[1].shown()
    question = (
        [f"This is about {about}, and I would like to see it done slowly, one step after the other. Let ", inline, " be"
         " given, as in the first exercise of the chapter."],
        ["My own attempt, which I wrote down last night, ended with the line ", shown, " and there I am stuck."],
    )  # fmt: skip
    first = (
        [f"{hint} Then what is left depends on ", inline, " alone, which is what the exercise asks for."],
        ["So the claim follows from ", shown, " whenever both sides are defined at all."],
    )
    second = (["Another way, without any calculation: draw both, and look where they meet. It is one point."],)
    return Content(title, (question, first, second))


CONTENTS = [_content(words, formulas) for words, formulas in zip(_WORDS, _FORMULAS, strict=True)]


# --- formulas as platforms write them ------------------------------------------------------------------

Writer = Callable[[Formula], str]


def parentheses(f: Formula) -> str:
    return escape(rf"\[{f.tex}\]" if f.display else rf"\({f.tex}\)")


def dollars(f: Formula) -> str:
    return escape(f"$${f.tex}$$" if f.display else f"${f.tex}$")


def mathml(f: Formula) -> str:
    shown = ' display="block"' if f.display else ""
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML"{shown}><mrow>{f.mathml}</mrow></math>'


def math_container(f: Formula) -> str:
    return f'<span class="math-container">{dollars(f)}</span>'


def canvas_image(f: Formula) -> str:
    tex = escape(f.tex, quote=True)
    return (
        f'<img class="equation_image" title="{tex}" src="/equation_images/{quote(quote(f.tex))}"'
        f' alt="LaTeX: {tex}" data-equation-content="{tex}" data-ignore-a11y-check="">'
    )


def zhihu_image(f: Formula) -> str:
    tex = escape(f.tex + (r"\\" if f.display else ""), quote=True)
    return f'<img src="https://www.zhihu.com/equation?tex={quote(f.tex)}" alt="{tex}" eeimg="1"/>'


def wiki_image(f: Formula) -> str:
    tex = escape(rf"{{\displaystyle {f.tex}}}", quote=True)
    kind = "display" if f.display else "inline"
    return (
        f'<span class="mwe-math-element mwe-math-element-{kind}"><span class="mwe-math-mathml-{kind}'
        f' mwe-math-mathml-a11y" style="display: none;"><math alttext="{tex}"><semantics><mrow>{f.mathml}</mrow>'
        f'<annotation encoding="application/x-tex">{tex}</annotation></semantics></math></span>'
        f'<img src="https://wikimedia.org/api/rest_v1/media/math/render/svg/0a" class="mwe-math-fallback-image-{kind}"'
        f' aria-hidden="true" alt="{tex}"></span>'
    )


def katex(f: Formula) -> str:
    html = f"""<span class="katex"><span class="katex-mathml"><math><semantics><mrow>{f.mathml}</mrow>
        <annotation encoding="application/x-tex">{escape(f.tex)}</annotation></semantics></math></span>
        <span class="katex-html" aria-hidden="true"><span class="base">{escape(f.tex)}</span></span></span>"""
    return f'<span class="katex--{"display" if f.display else "inline"}">{html}</span>'


def pandoc_span(f: Formula) -> str:
    return f'<span class="math {"display" if f.display else "inline"}">{parentheses(f)}</span>'


def knowl_process(f: Formula) -> str:
    shown = rf"\begin{{equation*}}{escape(f.tex)}\end{{equation*}}"
    return f'<div class="displaymath process-math">{shown}</div>' if f.display else (
        f'<span class="process-math">{parentheses(f)}</span>')  # fmt: skip


# --- texts and surroundings ------------------------------------------------------------------------------


def paragraphs(text: Sequence[Paragraph], write: Writer, tag: str = "p") -> str:
    return "\n".join(
        f"<{tag}>{''.join(escape(part) if isinstance(part, str) else write(part) for part in paragraph)}</{tag}>"
        for paragraph in text
    )


def lines(text: Sequence[Paragraph], write: Writer) -> str:
    """With <br> between paragraphs, as boards of bulletin-board code have it."""
    return "<br />\n<br />\n".join(
        "".join(escape(part) if isinstance(part, str) else write(part) for part in paragraph) for paragraph in text
    )


def m(words: str) -> str:
    return f"{words} {MARK}"


def menu(*words: str) -> str:
    return "<ul>" + "".join(f'<li><a href="/{quote(word)}">{m(word)}</a></li>' for word in words) + "</ul>"


def whole(title: str, body: str, head: str = "") -> str:
    return f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>{head}</head>\n<body>{body}</body></html>'  # noqa: E501
