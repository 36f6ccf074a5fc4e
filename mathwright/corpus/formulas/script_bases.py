r"""What a raised or lowered text belongs to: the symbol, number, bracket or product before it, or nothing (a footnote).

All functions here see text alone: what stands before the script in its line, what stands behind it, and the script.
Mathematics that is not recognised stays as it is (`x2`), and so is read wrongly; a footnote that is taken for a power
is a wrong number, too. What decides is what stands beside: operators, digits and letters without a space in between.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mathwright.corpus.formulas.placeholders import PLACEHOLDER_END
from mathwright.corpus.formulas.symbols import FUNCTIONS

DASHES = str.maketrans("–‑−—", "----")
MAX_SCRIPT = 40
Tag = Literal["sup", "sub"]

_SYMBOL_CHARACTER = "A-Za-zͰ-Ͽ∂∇ℂℊ-ℓℕ℘-ℝℤℨℬℭℯ-ℴℵℶ\U0001d400-\U0001d7ff"
_SYMBOL = re.compile(rf"(?:(?<![\w'’])|(?<=[\d)½¼¾⅓⅔])|(?<=\bd))([{_SYMBOL_CHARACTER}][\u0300-\u036f]?[′']{{0,2}})\Z")
_ACCENTED = re.compile(r"(?<![\w'’])([ŷŵâêîôûẑẋẏẍÿäöüñãõāēīōūȳẽỹ])\Z")
_RUN = re.compile(
    rf"(?<![\w'’.])((?:[{_SYMBOL_CHARACTER}]|(?<![A-Za-z])[½¼¾]){{2,4}})\Z|(?<=[\d½¼¾)])([{_SYMBOL_CHARACTER}]{{2,4}})\Z"
)
"""A product of letters, and one behind a number."""
_NUMBER = re.compile(r"(?<![\w.,/])(\d{1,9}(?:\.\d{1,9})?|[½∞])\Z")
_DIGITS = re.compile(r"(?<![\w.,/])(\d{1,40}|(?=[A-F]*\d)[0-9A-F]{1,16})\Z")
_FACTORIAL = re.compile(r"(?<!\w)\w!\Z")
_FUNCTION = "|".join(sorted(FUNCTIONS, key=len, reverse=True))
_OPERATOR = re.compile(rf"(?:[∑∏∐∫∬∭∮⋂⋃⋀⋁]|(?<![\w.])(?:{_FUNCTION}))\Z")
_RAISED = frozenset({
    "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "arcsin", "arccos", "arctan", "log", "ln",
    "lg", "exp",
})  # fmt: skip
"""Functions that are raised to a power; a number over another one (`min`, `arg`) is a footnote's."""
_UNIT = re.compile(
    r"(?<![\w])(?:[kcmdnµμ]?m|in|ft|yd|mi|s|sec|h|hr|km/s|m/s|kg/m|g/cm|W/m|N/m|kN/m|k?mol|L|kg|ms|Nm|kJ|J kg|Pa|Hz"
    r"|yr|min)\Z"
)
_UNIT_SCRIPT = re.compile(r"-?[1-4]")
_PAIRS = {")": "(", "]": "[", "}": "{", "⟩": "⟨", "⌋": "⌊", "⌉": "⌈"}
_BARS = ("||", "|", "‖")
MAX_BRACKET = 200
_PLACEHOLDER = re.compile(rf"[^\d{PLACEHOLDER_END}]?\d+{PLACEHOLDER_END}")
_PROSE = re.compile(r"[A-Za-z]{3,}")
_YEAR = re.compile(r"\d{4}")
_CALCULATED = re.compile(r"\d%?\s*[-+−×·*/]\s*\d")
_SEGMENT = re.compile(r"(?<![\w.])[A-Z]{2}\Z")
"""The length of a side of a figure, named by its ends."""

_ORDINAL = re.compile(
    r"(?i:st|nd|rd|th|sts|nds|rds|ths|tm|sm|®|™|©|er|ers|re|res|ère|ères|e|es|ème|èmes|eme|emes|ième|ièmes|nde|ndes|de|o|os|a|as"
    r"|ª|º|le|mc|rn|mr|to|the|ref|edit|note|new|beta|me|lle|mes|lles|gr|ts|nt|mo|mos|ra|ras|ro|ros|va|vo|ste|sten|te|ten|tes|ter)"
)
"""What is raised behind a number or in an abbreviation; in mathematics only where more says so."""
_COUNTED = re.compile(r"(?i:-?(?:st|nd|rd|th|™|®))")
_FOOTNOTES = re.compile(r"\d{1,3}(?:\s*[,;-]\s*\d{1,3})+|[a-h](?:\s*,\s*[a-h])+|[\[(]\w{1,3}[\])]|[*†‡§]+")
_SIGNIFICANCE = re.compile(r"(?=[a-h]{1,4}\Z)a?b?c?d?e?f?g?h?\Z")
"""Letters of a table's notes."""
_MATH_LETTERS = re.compile(r"[i-nqrtu-zA-Z]{1,3}")
_ALLOWED = re.compile(r"[\w\s+\-*/·×=<>≤≥≠→∈∉⊂⊆∪∩∖,.()\[\]{}|!'′″*∗†∞√½¼¾⅓⅔…⋯⊤⊥%:±∓²³¹°\ue000\ue001]+")
_WORDS = re.compile(r"[A-Za-z]+")
_MAX_WORD = 12
_OPERATORS = frozenset("=+-−×·*/<>≤≥±∓≈∝→⋅÷")
_SURE_OPERATORS = _OPERATORS - {"-"}
_ELEMENTS = frozenset("HBCNOFPSKVYIWU")
_NO_PRODUCT = frozenset({
    "th", "st", "nd", "rd", "mr", "ms", "dr", "vs", "pp", "ft", "km", "cm", "mm", "kg", "lb", "hr", "ch", "ph",
    "tv", "pc", "ny", "uk", "us", "eu", "un", "ad", "bc", "am", "pm", "jr", "sr", "no", "ie", "eg", "etc", "mph",
    "sq", "cf", "ed", "eds", "vol", "fig", "eq", "sec", "ref", "tab", "pg", "dx", "dy", "dz", "dt", "id", "ip",
    "it", "is", "in", "on", "at", "to", "of", "or", "so", "we", "he", "be", "by", "do", "go", "if", "me", "my",
    "up", "an", "as",
})  # fmt: skip
"""Short words and abbreviations, which are products only behind a number or a Greek letter."""
_VOWELS = re.compile(r"[aeiouAEIOU]")
_BASES = frozenset({"two", "eight", "ten", "twelve", "sixteen", "bin", "oct", "dec", "hex"})
_ABBREVIATED = re.compile(r"\s?[A-Z][a-z]")
_MEASURE = re.compile(
    r"/\d{1,3}\s*(?:cups?|tsp|tbsp|tea|table|inch|in\b|lbs?\b|oz|ounces?|pounds?|miles?|feet|ft|yards?|hours?|years?|[\"″”])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the other scripts of the page say."""

    few: bool = False
    """Few scripts are surely mathematics: capital letters with digits may be chemistry."""
    numbered: bool = False
    """Capital letters have the index 0 or 1, which no chemical formula has."""


def is_script(script: str, tag: Tag) -> bool:
    """Whether a text can be a script of mathematics at all."""
    script = script.strip().translate(DASHES)
    if not script or len(script) > MAX_SCRIPT or _ALLOWED.fullmatch(script) is None:
        return False
    words = _WORDS.findall(script)
    longest = max(map(len, words), default=0)
    if longest > 3 and not all(len(word) <= 3 or word in FUNCTIONS for word in words):
        return tag == "sub" and len(words) == 1 and len(script) <= _MAX_WORD
    return True


_CLOSINGS = ("$", "€", "£", "\\)", "\\]")
"""Of formulas between delimiters, and of prices."""


def base_of(before: str, after: str, script: str, tag: Tag, page: Page) -> str:
    """The end of `before` that a script belongs to; "" where it belongs to nothing there.

    before: the text before it in its line (a placeholder of a formula at its end is not for this function); after: the
    text behind it.
    """
    script = script.strip().translate(DASHES)
    stripped = before.rstrip(" \t\n\xa0")
    if stripped != before:
        return _base_over_space(stripped, before, after, script, tag, page)
    if before.endswith(_CLOSINGS):
        return ""
    for find in (_symbol, _number, _product, _bracket):
        base = find(before, after, script, tag, page)
        if base:
            return base
    return ""


def _base_over_space(stripped: str, before: str, after: str, script: str, tag: Tag, page: Page) -> str:
    """White space may stand before a script where all else is mathematics: `x <sup>2</sup> + y <sup>2</sup> = 4`."""
    if len(before) - len(stripped) > 2 or not stripped or stripped.endswith(PLACEHOLDER_END):
        return ""
    base = base_of(stripped, after, script, tag, page)
    if not base:
        return ""
    power = base == "10" and script.startswith("-")
    if (
        base in FUNCTIONS
        or power
        or _beside(stripped[: len(stripped) - len(base)], after)
        or (tag == "sub" and _SYMBOL.search(stripped))
    ):
        return before[len(stripped) - len(base) :]
    return ""


# --- symbols -----------------------------------------------------------------------------------------


def _symbol(before: str, after: str, script: str, tag: Tag, page: Page) -> str:
    operator = _OPERATOR.search(before)
    if operator is not None and (tag == "sub" or not script.isdigit() or operator[0] in _RAISED):
        return operator[0]
    found = _SYMBOL.search(before) or _ACCENTED.search(before)
    if found is None:
        return ""
    letter, rest = found[1], before[: found.start(1)]
    if (letter, script, after[:1]) == ("T", "e", "X"):
        return ""
    if tag == "sup":
        if script.isdigit():
            if letter in "aAI" and not _is_calculated(rest, after):
                return ""  # the article or the pronoun, with a footnote
            if rest[-1:] == "/" and rest[-3:-1].isalpha():
                return ""  # a unit with a footnote
        elif _ORDINAL.fullmatch(script) and not (letter.islower() and _beside(rest, after)):
            return ""
        elif letter.isupper() and script.isalpha() and script.islower() and _ABBREVIATED.match(after):
            return ""  # an abbreviated name
    if letter.isupper() and letter in _ELEMENTS and not page.numbered and script not in ("0", "1"):
        if page.few and script.isdigit() and (tag == "sub" or not _is_calculated(rest, after)):
            return ""  # a chemical formula, a vitamin
        if after[:1].isalpha() and tag == "sub" and script.isdigit():
            return ""
    if page.few and letter.isupper() and script in ("+", "-"):
        return ""  # a grade, an ion
    return letter


def _is_calculated(rest: str, after: str) -> bool:
    """Whether what stands around a letter makes it a variable: an operator, a digit, a bracket, a letter behind."""
    return _beside(rest, after) or rest[-1:].isdigit() or rest.endswith("(") or after[:1].isalpha()


def _beside(before: str, after: str, operators: frozenset[str] = _OPERATORS) -> bool:
    return before.rstrip()[-1:] in operators or after.lstrip()[:1] in operators or after[:1] in ("(", PLACEHOLDER_END)


def _product(before: str, after: str, script: str, tag: Tag, page: Page) -> str:
    """A product of letters of which the last one is raised: mc², ax², πr², GL_n(R)."""
    found = _RUN.search(before)
    if found is None:
        return ""
    run = found[1] or found[2]
    rest = before[: len(before) - len(run)]
    if tag == "sup" and (_ORDINAL.fullmatch(script) or _FOOTNOTES.fullmatch(script)):
        return ""
    if not run.isascii():  # Greek, a fraction
        return run
    if script in ("+", "-"):
        return ""  # an ion
    calculated = _beside(rest, after, _SURE_OPERATORS) or found[2] is not None or rest[-2:-1].isdigit()
    if _SEGMENT.search(before) and tag == "sup":
        return run if calculated or _beside(rest, after) else ""
    if run.lower() in _NO_PRODUCT:
        return run if found[2] is not None or (rest[-2:-1].isdigit() and _beside("", after)) else ""
    if tag == "sub":
        if run.isupper() and not script.isdigit():
            return run  # GL_n
        chemistry = page.few and script not in ("0", "1") and _SYMBOLS_OF_ELEMENTS.fullmatch(run)
        return run if calculated and not chemistry else ""
    if calculated:
        return run
    if run.isupper() and len(run) > 2:
        return ""  # a name of capital letters
    sure_script = not script.isdigit() and not _SIGNIFICANCE.match(script)
    return run if sure_script and (_VOWELS.search(run) is None or any(c in "+-*/=" for c in script)) else ""


_SYMBOLS_OF_ELEMENTS = re.compile(
    r"(?:He|Li|Be|Ne|Na|Mg|Al|Si|Cl|Ar|Ca|Sc|Ti|Cr|Mn|Fe|Co|Ni|Cu|Zn|Ga|Ge|As|Se|Br|Kr|Rb|Sr|Zr|Nb|Mo|Ag|Cd|Sn|Sb|Te|Xe|Cs"
    r"|Ba|Pt|Au|Hg|Pb|Bi|[HBCNOFPSKVYIWU])+"
)


# --- numbers -----------------------------------------------------------------------------------------


def _number(before: str, after: str, script: str, tag: Tag, page: Page) -> str:
    if tag == "sub":
        digits = _DIGITS.search(before)
        to_base = (script.isdigit() and 2 <= int(script[:3]) <= 36) or script.lower() in _BASES
        return digits[1] if digits is not None and to_base else ""
    found = _NUMBER.search(before) or _FACTORIAL.search(before)
    if found is None:
        return ""
    number = found[found.lastindex or 0]
    beside = _beside(before[: found.start()], after)
    if script.isdigit():
        return number if number in ("10", "2") or beside else ""
    if not beside and (_FOOTNOTES.fullmatch(script) or _SIGNIFICANCE.match(script) or script in ("*", "†")):
        return ""
    if _ORDINAL.fullmatch(script):
        return number if beside and script in ("a", "e", "o") else ""
    if script.isalpha() and script.isascii() and not _MATH_LETTERS.fullmatch(script):
        return number if beside else ""
    return number


def measured(before: str, after: str, script: str) -> bool:
    """Whether raised digits are the numerator of a mixed number with a unit: 1¹/2 cups."""
    return script.strip().isdigit() and before[-1:].isdigit() and _MEASURE.match(after) is not None


def unit_of(before: str, script: str) -> bool:
    """Whether a unit stands before a script that is its power."""
    return _UNIT.search(before) is not None and _UNIT_SCRIPT.fullmatch(script.strip().translate(DASHES)) is not None


# --- brackets ----------------------------------------------------------------------------------------


def _bracket(before: str, after: str, script: str, tag: Tag, page: Page) -> str:
    """A bracket, absolute value or norm, with the name of a function before it."""
    start = _opening(before)
    if start is None:
        return "|" if tag == "sub" and before.endswith("|") else ""
    inner, rest = _PLACEHOLDER.sub(PLACEHOLDER_END, before[start + 1 : -1]), before[:start]
    if _YEAR.search(inner) or any(word not in FUNCTIONS for word in _PROSE.findall(inner)):
        return ""
    if not inner.strip() or (tag == "sup" and _COUNTED.fullmatch(script)):
        return ""
    if rest[-1:].isalpha() and not rest[-2:-1].isalpha():
        start, rest = start - 1, rest[:-1]  # f(x)²
    has_letters = any(c.isalpha() for c in inner) or PLACEHOLDER_END in inner
    beside = _beside(rest, after)
    if script.isdigit() or script.startswith("-"):
        sure = has_letters or _CALCULATED.search(inner) is not None or beside or (tag == "sub" and before[-1] == "|")
    elif tag == "sup" and _FOOTNOTES.fullmatch(script):
        sure = False
    else:
        sure = tag == "sub" or not _SIGNIFICANCE.match(script) or beside or PLACEHOLDER_END in inner
    return before[start:] if sure or (not script.isdigit() and script.startswith("-")) else ""


def _opening(before: str) -> int | None:
    """Where the bracket opens that ends a text; None where it ends in none."""
    last = before[-1:]
    floor = max(0, len(before) - MAX_BRACKET)
    for bar in _BARS:
        if before.endswith(bar):
            start = before.rfind(bar, floor, len(before) - len(bar))
            return start if start >= 0 and start + len(bar) < len(before) - len(bar) else None
    opening = _PAIRS.get(last)
    if opening is None:
        return None
    depth = 0
    for place in range(len(before) - 1, floor - 1, -1):
        depth += (before[place] == last) - (before[place] == opening)
        if not depth:
            return place
    return None
