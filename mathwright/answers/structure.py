"""The shape of an answer: numbers, words and formulas, in lists, tuples, sets, intervals, unions, matrices, relations.

Our own reader splits the text at its top-level brackets, commas and relations, so that the ends of an interval, the
order of a tuple and the size of a set are decided here and exactly. What remains at the leaves and is no number is a
`Formula`, kept as text: only a worker hands it to the TeX parser.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from mathwright.answers.brackets import encloses, split_top, unbalanced
from mathwright.answers.clock import read_date, read_time
from mathwright.answers.inequalities import FLIP, domain, inequality, restrict_named, restricted
from mathwright.answers.names import is_name, labelled_parts, unit_vectors
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


_RELATION = re.compile(r"\\(?:le|ge|ne|in|approx|equiv|sim|implies|Rightarrow|rightarrow|to)(?![a-zA-Z])|[=<>]")
_AND_OR = re.compile(
    r",?\s*(?:\\text\{\s*,?\s*(?:and|or|和|或|或者|与)\s*,?\s*\}|(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z])|或者?|和)\s*,?"
)
_OR = re.compile(r"or|或")
_MATRIX = re.compile(r"\\begin\{([pbvB]?(?:small)?matrix|array)\}(?:\{[^{}]*\})?(.*)\\end\{\1\}", re.DOTALL)
_LETTER_CHOICE = re.compile(r"\(([A-Z])\)|([A-Z])|([A-Z])\s*[).:](?:\s*\S.*)?|\(([A-Z])\)\s*\S.*", re.DOTALL)
_LETTERS = re.compile(r"\(?[A-H]\)?(?:\s*(?:,|and|or|&|和|或|,\s*and)\s*\(?[A-H]\)?)+")
_LABELLED = re.compile(
    r"(?:\(([A-H])\)\s*|([A-H])[).:]\s+)(?!\\(?:cdot|times|cup|cap|to|in|pm)|[-+^=*/(])\S[^=]*", re.DOTALL
)
_OPTION = re.compile(r"^(?:option|choice|answer)\s+(?=\(?[A-Z]\b)", re.IGNORECASE)
_WORDY = re.compile(r"[^\W_][\w\s'’.,()&\"/+:-]*")
_SAID_OF_A_NUMBER = re.compile(r"(?<![\d.,])\d[\d.,]*(?:st|nd|rd|th)?[\s(]+[a-zA-Z]{2}")
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
    if unbalanced(cleaned):
        raise UnreadableError("unbalanced braces")
    return _parse(cleaned, depth=0)


_COMMA, _SEMICOLON, _CUP = re.compile(","), re.compile(";"), re.compile(r"\\(?:cup|cap|setminus|backslash)(?![a-zA-Z])")
_COLON, _BAR = re.compile(":"), re.compile(r"\||:")
_PLUS_MINUS = re.compile(r"\\(pm|mp)(?![a-zA-Z])")


def _parse(text: str, depth: int) -> Node:
    text = text.strip().rstrip(",;").strip()
    if not text or depth > 12:
        raise UnreadableError("empty" if not text else "nested too deeply")
    if text[0] == "{" and text[-1] == "}" and encloses(text):
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
    if parts := labelled_parts(text):
        return Sequence("blanks", tuple(Named(f"({label})", _parse(part, depth + 1), None) for label, part in parts))
    words = None if _LETTERS.fullmatch(text) else _words(text)
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
        if pattern is _AND_OR and not pieces[-1].strip(" ,.}"):
            raise UnreadableError("cut off behind and, or")
        if kind == "list" and (whole := _of_kind(pieces, depth)) is not None:
            return whole
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


def _of_kind(pieces: list[str], depth: int) -> Node | None:
    """`n > 2, n \\in \\mathbb{Z}` as integers; `k\\pi, k \\in \\mathbb{Z}`, where k stands for any, as `k\\pi`."""
    kinds = [domain(piece) for piece in pieces]
    said = next((kind for kind in kinds if kind), None)
    rest = [piece for piece, kind in zip(pieces, kinds, strict=True) if not kind]
    if said is None or not rest or len(rest) + 1 != len(pieces) or not any(said[0] in piece for piece in rest):
        return None
    node = _parse(",".join(rest), depth + 1)
    return restrict_named(node, *said) or (_for_all(node, said) if said[1] != "Q" else None)


def _for_all(node: Node, letter: tuple[str, str]) -> Node:
    """The answer, its formulas marked with the letter that stands for every number of a kind."""
    if isinstance(node, Formula):
        return replace(node, any_of=letter)
    if isinstance(node, Named):
        return replace(node, value=_for_all(node.value, letter))
    if isinstance(node, Sequence):
        return replace(node, items=tuple(_for_all(item, letter) for item in node.items))
    return node


def _join_inequalities(items: list[Node], operator: str) -> Node | None:
    """`x < 1 or x > 3` is one set, and so is `x > 1 and x < 3`."""
    named = [item for item in items if isinstance(item, Named)]
    if len(named) < len(items) or len({n.name for n in named}) != 1:
        return None
    sets = [n.value for n in named if isinstance(n.value, Interval | Combination)]
    if not sets or any(not isinstance(n.value, Interval | Combination | Quantity | Formula) for n in named):
        return None
    parts = (n.value if n.value in sets else Sequence("set", (n.value,)) for n in named)
    return Named(named[0].name, Combination(operator, tuple(parts)), None)


def _relation(text: str, depth: int) -> Node | None:
    terms, operators = split_top(text, _RELATION)
    if not operators:
        return None
    terms = [term.strip() for term in terms]
    operators = [_OPERATORS.get(operator, operator) for operator in operators]
    if not terms[0] and operators[0] in FLIP and len(terms) == 2:
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
        # Of `x \\in (1, 2)` the set is the answer; `2k \\in \\mathbb{Z}` says something.
        named = all(is_name(term) for term in terms[:-1])
        return _parse(terms[-1], depth + 1) if named else Relation(tuple(terms), tuple(operators))
    if set(operators) == {"="}:
        return _equation(terms, depth)
    if "⇒" in operators:
        return Relation(tuple(terms), tuple(operators))
    return inequality(terms, operators, lambda part: _parse(part, depth + 1))


_OPERATORS = {r"\le": "≤", r"\ge": "≥", r"\ne": "≠", r"\in": "∈", r"\approx": "≈", r"\equiv": "=", r"\sim": "≈"}
_OPERATORS |= dict.fromkeys((r"\implies", r"\Rightarrow", r"\rightarrow", r"\to"), "⇒")


def _equation(terms: list[str], depth: int) -> Node:
    if not is_name(terms[0]) and len(terms) == 2 and is_name(terms[1]) and parse_quantity(terms[0]):
        terms = terms[::-1]
    if is_name(terms[0]):
        relation = Relation((terms[0], terms[-1]), ("=",))
        return Named(terms[0].replace(" ", ""), _parse(terms[-1], depth + 1), relation)
    return Relation(tuple(terms), ("=",) * (len(terms) - 1))


def _simple(text: str, depth: int) -> Node:
    parts, operators = split_top(text, _CUP)
    if operators and all(part.strip() for part in parts):
        symbol = {r"\cup": "∪", r"\cap": "∩"}.get(operators[0], "∖")
        if len(set(operators)) == 1:
            sets = [_parse(part, depth + 1) for part in parts]
            if symbol == "∪" and all(isinstance(part, Sequence) and part.kind == "set" for part in sets):
                return Sequence("set", tuple(item for part in sets for item in part.items))  # type: ignore[union-attr]
            return Combination(symbol, tuple(sets))
    if _PLUS_MINUS.search(text) and not (text[0] == SET_OPEN and encloses(text)):
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
    if cases := _CASES.fullmatch(text):
        return _pieces(cases.group(1), depth)
    if vector := unit_vectors(text):
        return Sequence("tuple", tuple(_parse(part, depth + 1) for part in vector))
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


_CASES = re.compile(r"\\begin\{cases\}(.*)\\end\{cases\}", re.DOTALL)
_CONDITION = re.compile(
    r"[\s,]*(?:\\text\{\s*(?:if|for|when|where|当)?\s*\}|\b(?:if|for|when)\b)?\s*(.*?)[\s,;.]*", re.DOTALL
)


def _pieces(rows: str, depth: int) -> Node:
    """A function by cases: its values, each with its condition, in any order."""
    pieces = []
    for row in rows.split("␤"):
        if not row.strip():
            continue
        value, ampersand, condition = row.partition("&")
        if not ampersand:
            raise UnreadableError("a case without a condition")
        said = _CONDITION.fullmatch(condition)
        assert said is not None
        pieces.append(Sequence("tuple", (_parse(value, depth + 1), _parse(said.group(1), depth + 1))))
    return Sequence("list", tuple(pieces))


def _plus_minus(text: str, depth: int) -> Node:
    upper = _PLUS_MINUS.sub(lambda m: "+" if m.group(1) == "pm" else "-", text)
    lower = _PLUS_MINUS.sub(lambda m: "-" if m.group(1) == "pm" else "+", text)
    return Sequence("list", (_parse(upper, depth + 1), _parse(lower, depth + 1)))


def _enclosed(text: str, depth: int) -> Node | None:
    first, last = text[0], text[-1]
    if first not in "([" + SET_OPEN or last not in ")]" + SET_CLOSE or not encloses(text):
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
            if inner.strip().startswith("(") and encloses(inner.strip()):
                return Sequence("array", (_parse(inner, depth + 1),))
            return Sequence("array", (number,)) if number and number.value.denominator == 1 else _formula(text)
        return _parse(inner, depth + 1)
    items = tuple(_parse(piece, depth + 1) for piece in pieces if piece.strip())
    if len(items) == 1:
        return items[0]
    if len(items) == 2:
        if first == "[" and last == "]" and _no_ends(*items):
            return Sequence("array", items)
        printed = first == "[" and separators == [","] and pieces[1][:1] == " "
        return Interval(*items, first == "(", last == ")", (first == "(") == (last == ")"), printed)
    if (first == "(") != (last == ")"):
        raise UnreadableError("an interval of more than two ends")
    return Sequence("tuple" if first == "(" else "array", items)


def _no_ends(left: Node, right: Node) -> bool:
    """Whether two values are no ends of an interval: the greater comes first, or they are points."""
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return left.value > right.value
    return not all(isinstance(end, Quantity | Formula) for end in (left, right))


_SAYS = re.compile(r"\\(?:in|le|ge|ne)(?![a-zA-Z])|[=<>]")


def _set(inner: str, depth: int) -> Node:
    if not inner.strip():
        return Sequence("set", ())
    builder, bars = split_top(inner, _BAR)
    if bars and len(builder) == 2 and is_name(builder[0].split(r"\in")[0]):
        condition = _parse(builder[1], depth + 1)
        said = domain(builder[0])
        value = condition.value if isinstance(condition, Named) else condition
        return restricted(value, said[1]) if said and isinstance(value, Interval | Combination) else value
    if bars and len(builder) == 2 and all(part.strip() for part in builder) and _SAYS.search(builder[1]):
        # What has a form, `\\{2k + 1 | k \\in \\mathbb{Z}\\}`.
        condition = Formula(re.sub(r"\s+", "", builder[1]))
        return Combination("|", (_parse(builder[0], depth + 1), condition))
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
    text = _ORDINAL.sub("", text.lower()).replace("non-", "non")
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
