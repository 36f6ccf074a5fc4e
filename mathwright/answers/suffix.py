"""What may stand behind a number: a scale, a percent sign, a unit, what is counted, and words that say more about it.

    number [million] [%] [km/h | square feet | ...] [red apples] [of flour | per person] [profit | each | to the north]

Anything else ("or more", "is impossible", "squared twice", "maybe 6") makes the whole text no number. Which words are
nouns is not looked up: a counted noun is one that agrees with its number (`5 apples`, `1 apple`), among words that
are not of the closed classes of English, which relate or change what stands beside them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from mathwright.answers.spelled import PARTS_IN_WORDS
from mathwright.answers.unit_reader import GLUED, Token, read_unit, tokens_of
from mathwright.answers.units import CELSIUS, COUNTED, DEGREE, FAHRENHEIT, Unit
from mathwright.answers.vocabulary import ADVERBS, CLOSED, DETERMINERS, PLURALS_WITHOUT_S, RELATING, SAYING_NOTHING


@dataclass(frozen=True, slots=True)
class Suffix:
    """What stands behind a number, read."""

    scale: Fraction = Fraction(1)
    """What the number is multiplied with: a million, -1 for "below zero"."""
    added: Fraction = Fraction(0)
    """What is added to the number as written: the half of 3个半."""
    percent: bool = False
    unit: Unit | None = None
    qualifier: str = ""
    """Further words about a measured or counted number: profit, east, more. Two of them must agree."""


SCALES = {
    "hundred": 100,
    "thousand": 10**3,
    "million": 10**6,
    "mn": 10**6,
    "billion": 10**9,
    "bn": 10**9,
    "trillion": 10**12,
    "dozen": 12,
    "dozens": 12,
    "tens": 10,
    "百": 100,
    "千": 1000,
    "万": 10**4,
    "百万": 10**6,
    "千万": 10**7,
    "亿": 10**8,
    "打": 12,
}
SCALES |= {f"{word}s": SCALES[word] for word in ("hundred", "thousand", "million", "billion", "trillion")}
_MONEY_SCALES = {"k": 1000, "K": 1000, "M": 10**6, "m": 10**6, "B": 10**9}
_PARTS_OF_HUNDRED = {
    "%": Fraction(1),
    "percent": Fraction(1),
    "percentage": Fraction(1),
    "pct": Fraction(1),
    "‰": Fraction(1, 10),
    "permille": Fraction(1, 10),
    "bp": Fraction(1, 100),
    "bps": Fraction(1, 100),
    "ppm": Fraction(1, 10**4),
    "ppb": Fraction(1, 10**7),
    "个百分点": Fraction(1),
    "百分点": Fraction(1),
    "成": Fraction(10),
    "折": Fraction(10),
}
_PARTS_IN_TWO_WORDS = {"per cent": Fraction(1), "per mille": Fraction(1, 10), "per mil": Fraction(1, 10)}
_PARTS_IN_TWO_WORDS |= dict.fromkeys(("basis point", "basis points"), Fraction(1, 100))
_POINTS = {"point", "points"}

_MAX_WORDS = 14
_LARGEST_SINGULAR = 1


def read_suffix(tail: str, number: Fraction, *, measured: bool = False) -> Suffix | None:
    """What the text behind `number` says, or None where it is nothing that may stand there.

    `measured`: a unit stands before the number (a sign of money).
    """
    if not tail or tail.isspace():
        return Suffix()
    tokens = tokens_of(tail)
    if tokens is None or not 0 < len(tokens) <= _MAX_WORDS:
        return None
    scale, percent, added = Fraction(1), False, Fraction(0)
    position = 0
    if measured and tokens[0].text in _MONEY_SCALES and (len(tokens) == 1 or tokens[1].kind != "power"):
        scale, position = Fraction(_MONEY_SCALES[tokens[0].text]), 1  # ¤5k
    while position < len(tokens) and (factor := _scale(tokens, position)):
        scale *= factor
        position += 1
    if position < len(tokens) and tokens[position].kind == "chinese":
        return _chinese(tokens, position, Suffix(scale=scale), number)
    if part := _part_of_hundred(tokens, position):
        scale, percent, position = scale * part[0], True, part[1]
    unit, rest = None, position
    if found := read_unit(tokens, position):
        unit, rest = found
        if percent and unit is not None and tokens[position].text.lower() not in ("per", "/", "每", "a", "an"):
            return None
    if rest < len(tokens) and tokens[rest].kind == "chinese":
        return _chinese(tokens, rest, Suffix(scale, added, percent, unit), number)
    words = _words(tokens[rest:])
    if words is None:
        return None
    if below := _beside_zero(words, unit):
        return Suffix(scale * below, added, percent, unit)
    measured = measured or percent or rest > position
    if not measured:
        counted = (
            _counted(words, number, glued=not (tokens[position].apart or tokens[position].kind == "bracket"))
            if words
            else 0
        )
        if counted is None:
            return None
        if counted:
            unit, words = COUNTED, words[counted:]
            if words[:1] == ["per"] and (found := read_unit(tokens, rest + counted)):
                unit, rest = found[0] or unit, found[1]
                words = _words(tokens[rest:])
                if words is None:
                    return None
    qualifier = _qualifier(words, direct=not measured and unit is None)
    return None if qualifier is None else Suffix(scale, added, percent, unit, qualifier)


def _scale(tokens: list[Token], position: int) -> int | None:
    token = tokens[position]
    if token.kind == "chinese" or token.text == "打":
        return SCALES.get(token.text)
    return SCALES.get(token.text.lower()) if token.kind == "word" and (token.apart or position) else None


def _part_of_hundred(tokens: list[Token], position: int) -> tuple[Fraction, int] | None:
    """The percent sign or word at `position`, what one of it is in percent, and the index behind it."""
    if position >= len(tokens):
        return None
    words = [token.text.lower() for token in tokens[position : position + 2]]
    if pair := _PARTS_IN_TWO_WORDS.get(" ".join(words)):
        return pair, position + 2
    size = _PARTS_OF_HUNDRED.get(words[0])
    if size is None:
        return None
    points = len(words) > 1 and words[1] in _POINTS and words[0] in ("percentage", "percent", "%")
    return size, position + 1 + points


def _words(tokens: list[Token]) -> list[str] | None:
    """The rest of a suffix, words only, its end perhaps in parentheses; a single letter is no such word."""
    opened = [index for index, token in enumerate(tokens) if token.kind == "bracket"]
    if len(opened) == 2 and tokens[opened[0]].text == "(" and opened[1] == len(tokens) - 1 > opened[0] + 1:
        tokens = tokens[: opened[0]] + tokens[opened[0] + 1 : -1]
    if any(token.kind != "word" or (len(token.text) == 1 and token.text != "a") for token in tokens):
        return None
    return [token.text.lower() for token in tokens]


def _beside_zero(words: list[str], unit: Unit | None) -> int | None:
    """`5 degrees below zero` is -5, `5 above zero` 5."""
    if unit not in (None, DEGREE, CELSIUS, FAHRENHEIT) or len(words) != 2 or words[1] not in ("zero", "freezing"):
        return None
    if words[1] == "freezing" and unit != CELSIUS:
        return None
    return {"below": -1, "under": -1, "above": 1, "over": 1}.get(words[0])


_ACTING = CLOSED | PARTS_IN_WORDS
_NOT_PLAIN = _ACTING | RELATING | DETERMINERS


def _is_plain(word: str) -> bool:
    return word == "times" or (len(word) > 1 and word not in _NOT_PLAIN)


def _is_plural(word: str) -> bool:
    if word in PLURALS_WITHOUT_S or word == "times":
        return True
    return len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))


def _counted(words: list[str], number: Fraction, *, glued: bool) -> int | None:
    """How many words name what is counted; 0 where an adverb stands at once, None where nothing is counted."""
    if words[0] in ADVERBS and not (len(words) > 1 and _is_plain(words[1])):
        return 0
    if words[:2] in (["in", "all"], ["in", "total"]):
        return 0
    start = 0
    if words[0] == "of":  # two thirds of the pizza
        start = next((i for i, word in enumerate(words) if i and word not in DETERMINERS), len(words))
    plain = next((i for i in range(start, len(words)) if not _is_plain(words[i])), len(words))
    heads = [i for i in range(start, plain) if _is_plural(words[i])]
    if glued or plain == start:
        return None
    if heads:
        return heads[0] + 1
    return plain if start or abs(number) <= _LARGEST_SINGULAR else None


def _qualifier(words: list[str], *, direct: bool) -> str | None:
    """The further words, without those that say nothing; None where one of them acts on the number."""
    if direct and words and words[0] not in ADVERBS and words[0] != "in":
        return None
    kept: list[str] = []
    previous = ""
    for index, word in enumerate(words):
        last = index == len(words) - 1
        if word in RELATING or (word in DETERMINERS and not last):
            if last or (word in ("a", "an") and previous not in RELATING):
                return None
            previous = word if word not in DETERMINERS else previous
            continue
        if word in _ACTING or (word in DETERMINERS and word not in ("all", "each")):
            return None
        # What is measured (of flour) is left out like what is counted.
        if previous != "of" and word not in SAYING_NOTHING and word != "all":
            kept.append(word)
    return " ".join(kept)


# --- Chinese --------------------------------------------------------------------------------------

_HALF = re.compile(r"(?:个|只|条|张|块|斤|年|天)?半")
_BOUNDING = re.compile(
    r"以[上下内外前后]|之[内外间前后]|[或至到]|多$|余$|不[足到够]|[未没]|超过|[大小多少高低]于|最[多少]|起$|封顶|内$|开外"
)
_ABOUT = ("左右", "上下")


def _chinese(tokens: list[Token], position: int, so_far: Suffix, number: Fraction) -> Suffix | None:
    """个苹果, 千克大米, 个半: what is counted or measured; not 个以上, which bounds the number."""
    if position != len(tokens) - 1:
        return None
    noun, scale, added, percent = tokens[position].text, so_far.scale, so_far.added, so_far.percent
    if so_far.unit is None and (part := _PARTS_OF_HUNDRED.get(noun)):
        # 85折 and 八五折 say the hundredths, 8折 the tenths.
        return Suffix(scale * (1 if noun == "折" and number >= 10 else part), added, True)
    for ending in _ABOUT:
        noun = noun.removesuffix(ending)
    if half := _HALF.match(noun):
        noun, added = noun[half.end() :], Fraction(1, 2)
        unit = _unit_alone(noun)
        if unit is not None and so_far.unit is None:
            return Suffix(scale, added, percent, unit)
    if _BOUNDING.search(noun):
        return None
    unit = so_far.unit
    return Suffix(scale, added, percent, unit if unit or percent or not noun else COUNTED)


def _unit_alone(word: str) -> Unit | None:
    tokens = tokens_of(word)
    found = read_unit(tokens, 0) if tokens else None
    return found[0] if found and tokens and found[1] == len(tokens) else None


# --- behind an expression -------------------------------------------------------------------------

_PIECE = re.compile(
    r"(?P<start>\\text\s*\{[^{}]*\}|[\u4e00-\u9fff]+|[°%‰℃℉¤€£¥₹¢]|(?<=[\d}\s])[a-zA-Z]{2,})"
    r"|(?P<more>\s+|\^\s*(?:\{\s*-?\d\s*\}|-?\d)|/(?:\s*[a-zA-Z](?![a-zA-Z]))?|\\cdot(?![a-zA-Z]))|\\?[a-zA-Z]+|.",
    re.DOTALL,
)
# The degree sign of `\\cos 15°` belongs to the argument.
_ANGLE_INSIDE = re.compile(r"°|\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_PLURAL = Fraction(2)


def split_suffix(text: str) -> tuple[str, Suffix] | None:
    """An expression and what stands behind it: `12\\pi` and square centimetres. None where nothing can be read so."""
    start = None
    for piece in _PIECE.finditer(text):
        if piece.lastgroup is None:
            start = None
        elif piece.lastgroup == "start" and start is None:
            start = piece.start()
    if not start or (text[start] == "°" and _ANGLE_INSIDE.search(text, 0, start)):
        return None
    tail = text[start:]
    bare = tail[0].isascii() and tail[0].isalpha()
    if bare and not (len(tail) > 2 and tail[2].isalpha()) and tail[:2] not in GLUED:
        return None
    suffix = read_suffix((" " if bare else "") + tail, _PLURAL)
    if suffix is None or suffix.added or (bare and suffix.unit in (None, COUNTED)):
        return None
    return text[:start].rstrip(), suffix
