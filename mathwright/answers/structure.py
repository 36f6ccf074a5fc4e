"""The shape of an answer: numbers, words and formulas, in lists, tuples, sets, intervals, unions, matrices, relations.

Our own reader splits the text at its top-level brackets, commas and relations, so that the ends of an interval, the
order of a tuple and the size of a set are decided here and exactly. What remains at the leaves and is no number is a
`Formula`, kept as text: only a worker hands it to the TeX parser.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from mathwright.answers.clock import read_date, read_time
from mathwright.answers.nodes import (
    NOBODY,
    Combination,
    Formula,
    Interval,
    Matrix,
    Named,
    Node,
    Ratio,
    Relation,
    Residue,
    Sequence,
    Words,
)
from mathwright.answers.normalise import MAX_ANSWER_CHARS, SET_CLOSE, SET_OPEN, clean
from mathwright.answers.numbers import Quantity, parse_quantity
from mathwright.answers.spelled import formula_in_words
from mathwright.answers.suffix import split_suffix
from mathwright.answers.unit_reader import parse_unit
from mathwright.answers.vocabulary import canonical


class UnreadableError(ValueError):
    """The text is no answer we can read: empty, unbalanced, or too long."""


_OPENING, _CLOSING = "([" + SET_OPEN + "{", ")]" + SET_CLOSE + "}"
_RELATION = re.compile(r"\\(?:le|ge|ne|in|approx|equiv|sim|implies|Rightarrow|rightarrow|to)(?![a-zA-Z])|[=<>]")
_AND_OR = re.compile(
    r",?\s*(?:\\text\{\s*,?\s*(?:and|or|和|或|或者|与)\s*,?\s*\}|(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z])|或者?|和)\s*,?"
)
_OR = re.compile(r"or|或")
_MATRIX = re.compile(r"\\begin\{([pbvB]?(?:small)?matrix|array)\}(?:\{[^{}]*\})?(.*)\\end\{\1\}", re.DOTALL)
_SYMBOL = r"(?:[a-zA-Z]|\\(?!text|frac|sqrt|pi(?![a-zA-Z])|infty|le|ge)[a-zA-Z]+)(?:_(?:\{[^{}]*\}|\w))?'*"
_NAME = re.compile(
    r"P\([^()]*\)|\\(?:sin|cos|tan)\s*(?:\\[a-z]+|[A-Z]{1,3})\s*|m\s*\\angle\s*\{?\s*[A-Z]{1,3}\s*\}?|"
    rf"{_SYMBOL}(?:\^\{{-1\}}|\^-1)?(?:\s*\([^()=]*\))?|\\text\{{[^{{}}]*\}}|[A-Z]{{2,4}}|[a-zA-Z]{{1,3}}"
    rf"|\|[A-Z]{{1,3}}\||\\(?:angle|overline|triangle|overrightarrow|vec|mathbf|hat|bar|widehat)\s*\{{?\s*[a-zA-Z]{{1,4}}\}}?"
    r"|\((?:\s*[a-zA-Z](?:_\w)?\s*,?)+\)|\[[A-Z]{3,6}\]"
)
_LETTER_CHOICE = re.compile(r"\(([A-Z])\)|([A-Z])|([A-Z])\s*[).:](?:\s*\S.*)?|\(([A-Z])\)\s*\S.*", re.DOTALL)
_LETTERS = re.compile(r"\(?[A-H]\)?(?:\s*(?:,|and|or|&|和|或|,\s*and)\s*\(?[A-H]\)?)+")
_LABELLED = re.compile(
    r"(?:\(([A-H])\)\s*|([A-H])[).:]\s+)(?!\\(?:cdot|times|cup|cap|to|in|pm)|[-+^=*/(])\S[^=]*", re.DOTALL
)
_OPTION = re.compile(r"^(?:option|choice|answer)\s+(?=\(?[A-Z]\b)", re.IGNORECASE)
_WORDY = re.compile(r"[^\W_][\w\s'’.,()&\"/+:-]*")
_SAID_OF_A_NUMBER = re.compile(r"\d[\d.,]*(?:st|nd|rd|th)?[\s(]+[a-zA-Z]{2}")
_MATH_WORDS = {"pi", "sqrt", "sin", "cos", "tan", "log", "ln", "exp"}
_CJK = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")


@lru_cache(maxsize=8192)
def parse(text: str) -> Node:
    """Read one answer.

    Raises UnreadableError for a text that is empty, too long, or has unbalanced braces.
    """
    if len(text) > MAX_ANSWER_CHARS:
        raise UnreadableError("too long")
    cleaned = clean(text)
    if not cleaned or not any(c.isalnum() or c == SET_OPEN for c in cleaned):
        raise UnreadableError("empty")
    if _unbalanced(cleaned):
        raise UnreadableError("unbalanced braces")
    return _parse(cleaned, depth=0)


def _unbalanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return True
    return depth != 0


def split_top(text: str, pattern: re.Pattern[str]) -> tuple[list[str], list[str]]:
    """Split at the matches outside all brackets; returns the pieces and the separators between them."""
    depths, depth = [], 0
    for character in text:
        depth -= character in _CLOSING
        depths.append(depth)
        depth += character in _OPENING
    pieces, separators, start = [], [], 0
    for match in pattern.finditer(text):
        inside_environment = text.count(r"\begin", 0, match.start()) != text.count(r"\end", 0, match.start())
        if depths[match.start()] > 0 or inside_environment or match.start() < start:
            continue
        pieces.append(text[start : match.start()])
        separators.append(match.group().strip())
        start = match.end()
    return [*pieces, text[start:]], separators


_COMMA, _SEMICOLON, _CUP = re.compile(","), re.compile(";"), re.compile(r"\\(?:cup|cap|setminus|backslash)(?![a-zA-Z])")
_COLON, _BAR = re.compile(":"), re.compile(r"\||:")
_PLUS_MINUS = re.compile(r"\\(pm|mp)(?![a-zA-Z])")


def _parse(text: str, depth: int) -> Node:
    text = text.strip().rstrip(",;").strip()
    if not text or depth > 12:
        raise UnreadableError("empty" if not text else "nested too deeply")
    if text[0] == "{" and text[-1] == "}" and _encloses(text):
        # Braces group; with commas inside they are the set that a program prints.
        inside = text[1:-1]
        return _set(inside, depth) if split_top(inside, _COMMA)[1] else _parse(inside, depth + 1)
    if time := read_time(text):
        items = tuple(_parse(piece or "0", depth + 1) for piece in time[0].split(":"))
        return Ratio(items, *time)
    if date := read_date(text):
        return Words(date)
    quantity = parse_quantity(text)
    if quantity is not None:
        return quantity
    if said := formula_in_words(text):
        return _parse(said, depth + 1)
    if _REAL_LINE.fullmatch(text):
        return Interval(Formula(r"-\infty"), Formula(r"\infty"), True, True)
    if residue := _residue(text, depth):
        return residue
    words = _words(text)
    if words is not None:
        return words
    if text.startswith(r"\text{") and _encloses_text(text):
        return _parse(text[len(r"\text{") : -1], depth + 1)
    return _several(text, depth) or _relation(text, depth) or _simple(text, depth)


_REAL_LINE = re.compile(
    r"\\(?:mathbb|mathbf|Bbb|text)?\s*\{?R\}?|\\(?:mathbb|mathbf)\s*R|\(?-\\infty\s*<\s*[a-z]\s*<\s*\+?\\infty\)?"
    r"|(?:\\text\{\s*)?(?:all )?(?:the )?(?:real numbers|reals)\s*\}?|全体实数|一切实数|任意实数",
    re.IGNORECASE,
)
_MODULUS = re.compile(
    r"(.+?)\s*\(?\s*(?:\\pmod|\\p?b?mod|\\text\{\s*mod\s*\}|(?<![a-zA-Z\\])mod)\s*\{?\s*(\d{1,9})\s*\}?\s*\)?"
)
_FREE_LETTER = re.compile(
    r"\s*(?:\\text\{\s*(?:where|for)?\s*\}|where|for)?\s*\(?([a-zA-Z])\s*(?:\\in\s*(?:\\(?:mathbb|mathbf)\s*)?\{?[ZN]\}?(?:\^[*+])?"
    r"|(?:\\text\{)?\s*(?:is )?(?:an |any )?integers?\s*\}?|为整数)\s*\)?\s*"
)


def _residue(text: str, depth: int) -> Residue | None:
    match = _MODULUS.fullmatch(text) if "mod" in text else None
    if match is None or int(match.group(2)) == 0:
        return None
    value = _parse(match.group(1), depth + 1)
    value = value.value if isinstance(value, Named) else value
    return Residue(value.value, int(match.group(2))) if isinstance(value, Quantity) else None


def _several(text: str, depth: int) -> Node | None:
    """`2, 3`, `2 and 3`, `x < 1 or x > 3`, `5; 10`."""
    for pattern, kind in ((_SEMICOLON, "blanks"), (_AND_OR, "list"), (_COMMA, "list")):
        pieces, separators = split_top(text, pattern)
        if not separators:
            continue
        if len(pieces) > 1 and (letter := _FREE_LETTER.fullmatch(pieces[-1])) and letter.group(1) in pieces[0]:
            # `k\\pi, k \\in \\mathbb{Z}`: k stands for any integer with and without saying so.
            pieces = pieces[:-1]
        items: list[Node] = []
        for piece in pieces:
            if piece.strip(" ,"):
                item = _parse(piece, depth + 1)
                items += item.items if isinstance(item, Sequence) and item.kind == kind == "list" else [item]
        joined = None
        named = [item.text for item in items if isinstance(item, Words)]
        if pattern is _AND_OR and len(named) == len(items) and any(map(_OR.search, separators)):
            return Words(" or ".join(sorted(named)))  # of words, "or" is another answer than "and"
        if kind == "list" and pattern is _AND_OR:
            joined = _join_inequalities(items, "∪" if any(_OR.search(s) for s in separators) else "∩")
        if joined is not None:
            return joined
        return items[0] if len(items) == 1 else Sequence(kind, tuple(items))  # type: ignore[arg-type]
    return None


def _join_inequalities(items: list[Node], operator: str) -> Node | None:
    """`x < 1 or x > 3` is one set, and so is `x > 1 and x < 3`."""
    named = [item for item in items if isinstance(item, Named)]
    if len(named) < len(items) or len({n.name for n in named}) != 1:
        return None
    equations = [n for n in named if n.relation and n.relation.operators == ("=",)]
    if equations or any(not isinstance(n.value, Interval | Combination) for n in named):
        return None
    return Named(named[0].name, Combination(operator, tuple(n.value for n in named)), None)


def _relation(text: str, depth: int) -> Node | None:
    terms, operators = split_top(text, _RELATION)
    if not operators:
        return None
    terms = [term.strip() for term in terms]
    operators = [_OPERATORS.get(operator, operator) for operator in operators]
    if not terms[0] and operators[0] in _FLIP and len(terms) == 2:
        terms[0] = NOBODY
    if not terms[0]:
        terms, operators = terms[1:], operators[1:]
    if "≈" in operators:
        # `1/3 ≈ 0.333`: the exact value is the answer; `x ≈ 11` has none.
        first = operators.index("≈")
        keep = first if first > 0 or not is_name(terms[0]) else None
        if keep is None:
            operators[first] = "="
        else:
            terms, operators = terms[: keep + 1], operators[:keep]
    if not operators:
        return _parse(terms[0], depth + 1)
    if not all(terms):
        raise UnreadableError("a relation without a side")
    if "∈" in operators:
        return _parse(terms[-1], depth + 1)
    if set(operators) == {"="}:
        return _equation(terms, depth)
    return _inequality(terms, operators, depth)


_OPERATORS = {r"\le": "≤", r"\ge": "≥", r"\ne": "≠", r"\in": "∈", r"\approx": "≈", r"\equiv": "=", r"\sim": "≈"}
_OPERATORS |= dict.fromkeys((r"\implies", r"\Rightarrow", r"\rightarrow", r"\to"), "=")
_FLIP = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}


def is_name(text: str) -> bool:
    """Whether a side of an equation only names what the other side is: `x`, `f(x)`, `AB`, `(x, y)`, `a:b`."""
    text = text.strip()
    if text == NOBODY or _NAME.fullmatch(text):
        return True
    fraction = re.fullmatch(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", text)
    parts = fraction.groups() if fraction else re.split(r"[:/]", text)
    return len(parts) > 1 and all(_NAME.fullmatch(part.strip()) for part in parts)


def _equation(terms: list[str], depth: int) -> Node:
    if not is_name(terms[0]) and len(terms) == 2 and is_name(terms[1]) and parse_quantity(terms[0]):
        terms = terms[::-1]
    if is_name(terms[0]):
        relation = Relation((terms[0], terms[-1]), ("=",))
        return Named(terms[0].replace(" ", ""), _parse(terms[-1], depth + 1), relation)
    return Relation(tuple(terms), ("=",) * (len(terms) - 1))


def _inequality(terms: list[str], operators: list[str], depth: int) -> Node:
    if len(terms) == 2 and is_name(terms[1]) and not is_name(terms[0]) and operators[0] in _FLIP:
        terms, operators = terms[::-1], [_FLIP[operators[0]]]
    if len(terms) == 3 and operators[0] in (">", "≥") and operators[1] in (">", "≥"):
        terms, operators = terms[::-1], [_FLIP[o] for o in reversed(operators)]
    absolute = re.fullmatch(r"\|\s*([a-zA-Z])\s*\|", terms[0])
    bound = parse_quantity(terms[1]) if absolute and len(terms) == 2 else None
    if absolute and bound and bound.value > 0 and bound.unit is None and operators[0] in _FLIP:
        return _within_absolute(absolute.group(1), bound, operators[0], Relation(tuple(terms), tuple(operators)))
    infinity = Formula(r"\infty"), Formula(r"-\infty")
    if len(terms) == 2 and is_name(terms[0]) and operators[0] in _FLIP:
        bound, is_open = _parse(terms[1], depth + 1), operators[0] in "<>"
        below = operators[0] in "<≤"
        interval = Interval(infinity[1], bound, True, is_open) if below else Interval(bound, infinity[0], is_open, True)
        return Named(terms[0].replace(" ", ""), interval, Relation(tuple(terms), tuple(operators)))
    if len(terms) == 2 and operators == ["≠"] and is_name(terms[0]) and (hole := parse_quantity(terms[1])):
        line = Interval(infinity[1], infinity[0], True, True)
        excluded = Combination("∖", (line, Sequence("set", (hole,))))
        return Named(terms[0].replace(" ", ""), excluded, Relation(tuple(terms), tuple(operators)))
    if len(terms) == 3 and is_name(terms[1]) and all(o in ("<", "≤") for o in operators):
        ends = _parse(terms[0], depth + 1), _parse(terms[2], depth + 1)
        return Named(terms[1].replace(" ", ""), Interval(*ends, operators[0] == "<", operators[1] == "<"), None)
    return Relation(tuple(terms), tuple(operators))


def _within_absolute(name: str, bound: Quantity, operator: str, relation: Relation) -> Named:
    """`|x| < a` as `(-a, a)`, `|x| > a` as the rest of the line."""
    lower, upper = replace(bound, value=-bound.value), bound
    is_open = operator in "<>"
    if operator in "<≤":
        return Named(name, Interval(lower, upper, is_open, is_open), relation)
    left = Interval(Formula(r"-\infty"), lower, True, is_open)
    right = Interval(upper, Formula(r"\infty"), is_open, True)
    return Named(name, Combination("∪", (left, right)), relation)


def _simple(text: str, depth: int) -> Node:
    parts, operators = split_top(text, _CUP)
    if operators and all(part.strip() for part in parts):
        symbol = {r"\cup": "∪", r"\cap": "∩"}.get(operators[0], "∖")
        if len(set(operators)) == 1:
            return Combination(symbol, tuple(_parse(part, depth + 1) for part in parts))
    if _PLUS_MINUS.search(text) and not (text[0] == SET_OPEN and _encloses(text)):
        return _plus_minus(text, depth)
    if text.rstrip() == r"\emptyset":
        return Sequence("set", ())
    enclosed = _enclosed(text, depth)
    if enclosed is not None:
        return enclosed
    if match := _POINT.fullmatch(text):
        point = _parse(match.group(2), depth + 1)
        return Named(match.group(1), point, None)
    if match := _IN_WORDS_RATIO.fullmatch(text):
        return Ratio(tuple(_parse(piece, depth + 1) for piece in match.groups()))
    matrix = _MATRIX.fullmatch(text)
    if matrix and matrix.group(1) == "vmatrix":
        return _formula(text)
    if matrix and matrix.group(2).count(r"\begin") == 0:
        rows = [row for row in matrix.group(2).split("␤") if row.strip() and row.strip() != r"\hline"]
        return Matrix(tuple(tuple(_parse(cell, depth + 1) for cell in row.split("&")) for row in rows))
    pieces, colons = split_top(text, _COLON)
    if colons and all(piece.strip() for piece in pieces):
        return Ratio(tuple(_parse(piece, depth + 1) for piece in pieces))
    return _formula(text)


_POINT = re.compile(r"([A-Z])\s*(\([^()]*,[^()]*\))")
_IN_WORDS_RATIO = re.compile(r"(\d+(?:\.\d+)?)\s*(?:\\text\{\s*to\s*\}|to)\s*(\d+(?:\.\d+)?)")


def _plus_minus(text: str, depth: int) -> Node:
    upper = _PLUS_MINUS.sub(lambda m: "+" if m.group(1) == "pm" else "-", text)
    lower = _PLUS_MINUS.sub(lambda m: "-" if m.group(1) == "pm" else "+", text)
    return Sequence("list", (_parse(upper, depth + 1), _parse(lower, depth + 1)))


def _encloses(text: str) -> bool:
    """Whether the first bracket is closed by the last character; `[0, 1)` counts."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character in _OPENING) - (character in _CLOSING)
        if depth == 0:
            return index == len(text) - 1
    return False


def _enclosed(text: str, depth: int) -> Node | None:
    first, last = text[0], text[-1]
    if first not in "([" + SET_OPEN or last not in ")]" + SET_CLOSE or not _encloses(text):
        return None
    inner = text[1:-1]
    if first == SET_OPEN:
        return _set(inner, depth) if last == SET_CLOSE else None
    pieces, separators = split_top(inner, _COMMA)
    if not separators:
        pieces, separators = split_top(inner, _SEMICOLON)
    if not separators:
        if not inner.strip() or (first, last) == ("[", ")") or (first, last) == ("(", "]"):
            raise UnreadableError("an interval without two ends")
        if first == "[" and _MATRIX.fullmatch(inner.strip()) is None:
            # `[x]` may be the greatest integer in x.
            number = parse_quantity(inner)
            if inner.strip().startswith("(") and _encloses(inner.strip()):
                return Sequence("array", (_parse(inner, depth + 1),))
            return Sequence("array", (number,)) if number and number.value.denominator == 1 else _formula(text)
        return _parse(inner, depth + 1)
    items = tuple(_parse(piece, depth + 1) for piece in pieces if piece.strip())
    if len(items) == 1:
        return items[0]
    if len(items) == 2:
        return Interval(*items, first == "(", last == ")", ambiguous=(first == "(") == (last == ")"))
    if (first == "(") != (last == ")"):
        raise UnreadableError("an interval of more than two ends")
    return Sequence("tuple" if first == "(" else "array", items)


def _set(inner: str, depth: int) -> Node:
    if not inner.strip():
        return Sequence("set", ())
    builder, bars = split_top(inner, _BAR)
    if bars and len(builder) == 2 and is_name(builder[0].split(r"\in")[0]):
        condition = _parse(builder[1], depth + 1)
        return condition.value if isinstance(condition, Named) else condition
    items: list[Node] = []
    for separator in (_COMMA, _SEMICOLON):
        pieces, found = split_top(inner, separator)
        if found or separator is _SEMICOLON:
            for piece in pieces:
                if piece.strip():
                    item = _parse(piece, depth + 1)
                    items += item.items if isinstance(item, Sequence) and item.kind == "list" else [item]
            break
    return Sequence("set", tuple(items))


def _words(text: str) -> Words | None:
    """A textual answer, or None where the text is mathematics."""
    bare = re.sub(r"\\text\{([^{}]*)\}", r"\1", text).strip()
    wrapped = text.startswith(r"\text{") and _encloses_text(text)
    if _CJK.search(bare) and re.search(r"\d\s*(?:或者?|和)\s*-?\d|=", bare):
        return None
    if _CJK.search(bare) and not re.search(r"[=<>\\]", bare):
        option = re.fullmatch(r"(?:故?选|选项|答案是?|故?答案为)?\s*[:]?\s*\(?([A-Z])\)?(?:项|选项)?", bare)
        return Words(_plain(bare), letter=option.group(1) if option else "")
    if _LETTERS.fullmatch(bare):
        return None
    labelled = _LABELLED.fullmatch(bare)
    if labelled:
        return Words(_plain(bare), letter=labelled.group(1) or labelled.group(2))
    choice = _LETTER_CHOICE.fullmatch(_OPTION.sub("", bare))
    if choice and (len(bare) > 1 or wrapped) and not re.search(r"[=\\^]", bare):
        return Words(_plain(bare), letter=next(g for g in choice.groups() if g))
    if re.fullmatch("[A-H]{2,8}", bare) and list(bare) == sorted(set(bare)):
        return None  # several choices run together: ACD
    if "\\" in bare or not _WORDY.fullmatch(bare) or bare.lower() in _MATH_WORDS:
        return None
    if bare[0].isdigit() and not _SAID_OF_A_NUMBER.match(bare):
        return None
    tokens = re.findall(r"[^\W\d_]+", bare)
    wordy = [t for t in tokens if len(t) > 2 and re.search(r"[aeiouyAEIOUY]", t) and t.lower() not in _MATH_WORDS]
    if wrapped and not re.search(r"\d", bare) and "," not in bare:
        return Words(_plain(bare), letter=bare if re.fullmatch("[A-Z]", bare) else "")
    if wordy and "," not in bare and not re.search(r"[-+/]\s*\d|\d\s*[-+/]|\w\(", bare):
        return Words(_plain(bare)) if not _AND_OR.search(bare) or wrapped else None
    return None


def _encloses_text(text: str) -> bool:
    return text.endswith("}") and text.count(r"\text{") == 1


_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
_EDGES = ".,;:!?'\"()[]"
_JOINING_HYPHEN = re.compile(r"(?<=[^\W\d_]{2})-(?=[^\W\d_]{2})")
_BETWEEN_CHINESE = re.compile(r"\s|(?<![\da-z])[,.;:!?]|[,.;:!?](?![\da-z])")


def _plain(text: str) -> str:
    """Words as they are compared: without case, articles and the punctuation around them; `A+` is not `A-`."""
    text = _ORDINAL.sub("", text.lower())
    if _CJK.search(text):
        return canonical(_BETWEEN_CHINESE.sub("", text))
    words = [word.strip(_EDGES).replace("'", "") for word in _JOINING_HYPHEN.sub(" ", text).split()]
    words = [word for word in words if word]
    if len(words) > 1 and words[0] in ("on", "in", "at"):
        words = words[1:]
    return canonical(" ".join(word for word in words if word not in ("a", "an", "the") or len(words) == 1))


def _formula(text: str) -> Formula:
    """An expression, what stands behind it (unit, percent sign) apart."""
    unit, percent, qualifier = None, False, ""
    if text.startswith("¤"):
        unit, text = parse_unit("¤"), text[1:]
    if split := split_suffix(text):
        text, suffix = split
        unit, percent, qualifier = suffix.unit or unit, suffix.percent, suffix.qualifier
        if suffix.scale != 1:
            text = rf"({text})\cdot\frac{{{suffix.scale.numerator}}}{{{suffix.scale.denominator}}}"
    text = text.strip().removeprefix("+").strip()
    if not text:
        raise UnreadableError("a unit without a number")
    return Formula(re.sub(r"\s+", " ", text), unit, percent, qualifier)
