r"""The stream of grams in which contamination is looked for, so that layout and markup cannot hide a match.

A gram is a word, a number or a CJK character (paper silent on what a gram is in Chinese). Not seen are case, accents,
white space, line breaks, punctuation, HTML tags, Markdown emphasis, TeX spacing, sizing and fonts (`\left`, `\textbf`),
control and zero-width characters. 1,000 and `1{,}000` are 1000; an entity is its character; full-width, mathematical
and ligature forms are their letters; `\alpha` is α and `\dfrac` is `\frac`. An operator before a number or a single
letter belongs to that gram: `3 + 4` and `3 - 4` differ, while ×, `\times` and `\cdot` are one.

The text is handled as arrays of code points (60 to 100 MB/s where a regular expression gives 6).
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mathwright.corpus.decontaminate.characters import EN_DASH, LAST_CODE, OPERATORS, UNSURE, Kind, characters, classify
from mathwright.corpus.decontaminate.hashing import hash_word, hash_words

TEX_SIGNS = {
    **dict.fromkeys(("times", "cdot", "ast"), "*"),
    **dict.fromkeys(("div",), "/"),
    **dict.fromkeys(("le", "leq", "leqslant", "lt"), "<"),
    **dict.fromkeys(("ge", "geq", "geqslant", "gt"), ">"),
    **dict.fromkeys(("ne", "neq"), "≠"),
}
TEX_LAYOUT = (
    "left right big Big bigg Bigg bigl bigr Bigl Bigr quad qquad displaystyle textstyle text textbf textit textrm "
    "textsf texttt emph underline mathrm mathbf mathit mathsf mathbb mathcal boldsymbol bm mbox operatorname limits "
    "nolimits"
)
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega varepsilon varphi vartheta"
)
_GREEK = dict(zip(_GREEK_NAMES.split(), "αβγδεζηθικλμνξπρστυφχψωεφθ", strict=True))
TEX_OTHER_NAMES = {**_GREEK, **dict.fromkeys(("dfrac", "tfrac", "cfrac"), "frac")}
LIGATURES = ("ff", "fi", "fl", "ffi", "ffl", "st", "st")  # from U+FB00 on

_TAGS = (
    "a abbr b big br center code div em font h[1-6] hr i img li mark ol p pre q s small span strike strong sub sup "
    "table tbody td th thead tr tt u ul"
)
TAG = re.compile(rf"</?(?:{'|'.join(_TAGS.split())})(?:\s[^<>]{{0,200}})?/?>", re.IGNORECASE)
ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6}|#[xX][0-9a-fA-F]{1,6});")
_BROKEN_WORD = re.compile(r"-(?<=[^\W\d_]-)\r?\n[ \t>]*(?=[^\W\d_])")
"""A hyphen at the end of a line inside a word."""
SETTLED_CHARS = 256
"""A gram that ends this far before the end of a piece of text is the same whatever follows."""

_PAD = 8
_SEPARATOR = "\n<;\n"
"""Between texts that are handled together: no tag, entity, number or operator runs over it."""


@dataclass(frozen=True, kw_only=True)
class Grams:
    """The N grams of a text. What only a match needs (operators, places) is worked out when it is asked for."""

    words: np.ndarray
    """[N] uint64: a hash of each word, number or character. Equal grams have equal hashes."""
    is_command: np.ndarray
    """[N] bool: a TeX command such as `\\frac`."""
    codes: np.ndarray
    """[C] folded code points, of which gram i has those from `first_codes[i]` to `last_codes[i]`, inclusive."""
    kinds: np.ndarray
    """[C] kinds of the characters."""
    first_codes: np.ndarray
    last_codes: np.ndarray
    origin: np.ndarray | None
    """[C] where each code stood in the text; None: where it stands in `codes`."""
    sign_starts: dict[int, int]
    """Where the TeX command begins that left an operator in `codes`."""

    def __len__(self) -> int:
        return len(self.words)

    @functools.cached_property
    def _operators_and_starts(self) -> tuple[np.ndarray, np.ndarray]:
        return _read_operators(self.codes, self.kinds, self.first_codes, self.last_codes, self.sign_starts)

    @property
    def operators(self) -> np.ndarray:
        """[N] uint8: place in OPERATORS of the operator before each gram, UNSURE added where it may be none."""
        return self._operators_and_starts[0]

    @functools.cached_property
    def starts(self) -> np.ndarray:
        """[N] where each gram begins in the text, its operator included."""
        starts = self._operators_and_starts[1]
        return (starts if self.origin is None else self.origin[starts]) - _PAD

    @functools.cached_property
    def ends(self) -> np.ndarray:
        """[N] where each gram ends in the text."""
        return (self.last_codes if self.origin is None else self.origin[self.last_codes]) + (1 - _PAD)

    @property
    def is_cjk(self) -> np.ndarray:
        """[N] bool."""
        return self.kinds[self.first_codes] == Kind.CJK

    def spell(self, i: int) -> str:
        """A gram without its operator."""
        word = "".join(map(chr, self.codes[self.first_codes[i] : self.last_codes[i] + 1].tolist()))
        return TEX_OTHER_NAMES.get(word, word) if self.is_command[i] else word


def tokenise(text: str, *, at_line_start: bool = True, join_hyphens: bool = False) -> Grams:
    """The grams of a text.

    `at_line_start` is False for a piece of a text that starts after a gram in the same line. `join_hyphens` reads
    "alto-\\ngether" as one word; which words are meant to have a hyphen, no rule knows.
    """
    pad = ("\n" if at_line_start else ";") * _PAD
    text = f"{pad}{text}{pad}"
    codes, kinds = classify(text)
    _read_markup(text, codes, kinds)
    if join_hyphens:
        for match in _BROKEN_WORD.finditer(text):
            kinds[match.start() : match.end()] = Kind.INVISIBLE
    codes, kinds, origin = _without_invisible(codes, kinds)
    _join_decimals(kinds)
    first, last = _runs(kinds)
    words = hash_words(codes, first, last)
    is_command = np.zeros(len(first), dtype=bool)
    sign_starts: dict[int, int] = {}
    if "\\" in text:
        first, last, words, is_command = _read_commands(codes, kinds, first, last, words, sign_starts)
    return Grams(
        words=words,
        is_command=is_command,
        codes=codes,
        kinds=kinds,
        first_codes=first,
        last_codes=last,
        origin=origin,
        sign_starts=sign_starts,
    )


def tokenise_together(texts: Sequence[str]) -> tuple[Grams, np.ndarray]:
    """The grams of several texts in one stream, and [len(texts)] where each text begins in it.

    Offsets are those into all texts set end to end, as the second value counts them.
    """
    lengths = np.fromiter((len(text) + len(_SEPARATOR) for text in texts), dtype=np.int64, count=len(texts))
    return tokenise(_SEPARATOR.join(texts)), np.cumsum(lengths) - lengths


def has_broken_words(text: str) -> bool:
    """Whether a word is cut by a hyphen at the end of a line."""
    return ("-\n" in text or ("\r" in text and "-\r\n" in text)) and _BROKEN_WORD.search(text) is not None


# --- the steps of tokenise ------------------------------------------------------------------------


def _read_markup(text: str, codes: np.ndarray, kinds: np.ndarray) -> None:
    """Blank HTML tags, and put an entity's character in its place."""
    if "<" in text:
        for match in TAG.finditer(text):
            kinds[match.start() : match.end()] = Kind.FILLER
            if match[0][:4].lower() == "<sup":
                codes[match.end() - 1], kinds[match.end() - 1] = ord("^"), Kind.OPERATOR
    if "&" in text:
        for match in ENTITY.finditer(text):
            char = html.unescape(match[0])
            if len(char) == 1 and (codes.dtype != np.uint8 or char.isascii()):
                kinds[match.start() : match.end()] = Kind.INVISIBLE
                code = min(ord(char), LAST_CODE)
                codes[match.end() - 1], kinds[match.end() - 1] = characters().folded[code], characters().kinds[code]
            elif char != match[0]:
                kinds[match.start() : match.end()] = Kind.FILLER


def _without_invisible(codes: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Codes and kinds with ligatures spelled out, without invisible characters and marks for thousands.

    The third value says where each character that is left stood; None where all are left.
    """
    origin = None
    if (ligature := kinds == Kind.LIGATURE).any():
        names = [LIGATURES[int(code) - 0xFB00] for code in codes[ligature]]
        repeats = np.ones(len(codes), dtype=np.int64)
        repeats[ligature] = [len(name) for name in names]
        origin = np.repeat(np.arange(len(codes)), repeats)
        codes, kinds, inside = codes[origin], kinds[origin], np.repeat(ligature, repeats)
        codes[inside] = [ord(char) for char in "".join(names)]
        kinds[inside] = Kind.LETTER
    drop = kinds == Kind.INVISIBLE
    begin, end = _thousands(codes, kinds)
    drop[ranges(begin, end)] = True
    if not drop.any():
        return codes, kinds, origin
    keep = np.flatnonzero(~drop)
    return codes[keep], kinds[keep], keep if origin is None else origin[keep]


def _thousands(codes: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Begin and end of the marks between thousands: `,` `{,}` `\,` and `,\!` between up to three digits and three."""
    commas = np.flatnonzero(kinds == Kind.COMMA)
    left, right = commas - 1, commas + 1
    left = left - ((codes[left] == ord("{")) | (codes[left] == ord("\\")))
    right = right + (codes[right] == ord("}"))
    right = right + 2 * ((codes[right] == ord("\\")) & (codes[right + 1] == ord("!")))
    fits = (kinds[left] == Kind.DIGIT) & (kinds[right] == Kind.DIGIT)
    left, right = left[fits], right[fits]
    three = (kinds[right + 1] == Kind.DIGIT) & (kinds[right + 2] == Kind.DIGIT) & (kinds[right + 3] != Kind.DIGIT)
    four_before = (kinds[left - 1] == Kind.DIGIT) & (kinds[left - 2] == Kind.DIGIT) & (kinds[left - 3] == Kind.DIGIT)
    three &= ~four_before
    return left[three] + 1, right[three]


def ranges(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """All whole numbers from begin[i] to end[i], end exclusive, for each i, one range after another."""
    lengths = end - begin
    before = np.cumsum(lengths) - lengths
    return np.repeat(begin - before, lengths) + np.arange(int(lengths.sum()))


def _join_decimals(kinds: np.ndarray) -> None:
    points = np.flatnonzero(kinds == Kind.POINT)
    kinds[points[(kinds[points - 1] == Kind.DIGIT) & (kinds[points + 1] == Kind.DIGIT)]] = Kind.DIGIT


def _runs(kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last place of each gram."""
    in_gram = kinds >= Kind.LETTER
    cuts = np.empty(len(kinds) + 1, dtype=bool)
    cuts[0] = cuts[-1] = True
    np.not_equal(kinds[1:], kinds[:-1], out=cuts[1:-1])
    alone = kinds == Kind.CJK
    first = np.flatnonzero(in_gram & (cuts[:-1] | alone))
    last = np.flatnonzero(in_gram & (cuts[1:] | alone))
    return first, last


@dataclass(frozen=True, slots=True, kw_only=True)
class _Commands:
    """The TeX commands that are no grams of their own name; a row each, sorted by hash."""

    hashes: np.ndarray
    is_name: np.ndarray
    """[K] bool: it is another name of a gram; False: layout or a sign."""
    signs: np.ndarray
    """[K] code of the sign it is; 0 is none."""
    renamed: np.ndarray
    """[K] hash of the gram it is a name of."""


@functools.cache
def _commands() -> _Commands:
    meaning = {hash_word(name.lower()): ("", "") for name in TEX_LAYOUT.split()}
    meaning |= {hash_word(name): ("", sign) for name, sign in TEX_SIGNS.items()}
    meaning |= {hash_word(name): (form, "") for name, form in TEX_OTHER_NAMES.items()}
    rows = [(value, *meaning[value]) for value in sorted(meaning)]
    return _Commands(
        hashes=np.array([value for value, _, _ in rows], dtype=np.uint64),
        is_name=np.array([form != "" for _, form, _ in rows]),
        signs=np.array([ord(sign) if sign else 0 for _, _, sign in rows]),
        renamed=np.array([hash_word(form) if form else 0 for _, form, _ in rows], dtype=np.uint64),
    )


def _read_commands(
    codes: np.ndarray,
    kinds: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    words: np.ndarray,
    sign_starts: dict[int, int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Take layout commands and signs out of the grams and give others their one name.

    `codes` and `kinds` then have an operator where a sign command ended; `sign_starts` says where it began.
    """
    is_command = (codes[first - 1] == ord("\\")) & (kinds[first] == Kind.LETTER)
    known = _commands()
    commands = np.flatnonzero(is_command)
    at = np.minimum(np.searchsorted(known.hashes, words[commands]), len(known.hashes) - 1)
    special = known.hashes[at] == words[commands]
    commands, at = commands[special], at[special]
    named = known.is_name[at]
    words[commands[named]] = known.renamed[at[named]]
    gone = commands[~named]
    keep = np.ones(len(first), dtype=bool)
    keep[gone] = False
    kinds[ranges(first[gone], last[gone] + 1)] = Kind.FILLER
    sign = known.signs[at[~named]]
    gone, sign = gone[sign > 0], sign[sign > 0]
    kinds[last[gone]] = Kind.OPERATOR
    codes[last[gone]] = sign.astype(codes.dtype)  # in an ASCII text the low byte of ≠, which is no ASCII, stands for it
    sign_starts.update(zip(last[gone].tolist(), (first[gone] - 1).tolist(), strict=True))
    return first[keep], last[keep], words[keep], is_command[keep]


MAX_GAP = 12
"""Brackets and spaces between an operator and its gram."""


@functools.cache
def _operator_numbers() -> np.ndarray:
    numbers = np.zeros(LAST_CODE + 1, dtype=np.uint8)
    for number, char in enumerate(OPERATORS):
        numbers[ord(char)] = number
    numbers[ord("≠") & 0xFF] = numbers[ord("≠")]  # as an ASCII text holds it
    numbers[EN_DASH] = OPERATORS.index("-") | UNSURE
    numbers[ord(" ")] = 0
    return numbers


def _read_operators(
    codes: np.ndarray, kinds: np.ndarray, first: np.ndarray, last: np.ndarray, sign_starts: dict[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The operator of each gram, and where the gram begins with it."""
    kind_of = kinds[first]
    operators = np.where(kind_of == Kind.RAISED, OPERATORS.index("^"), 0).astype(np.uint8)
    starts = first.copy()
    takes = (kind_of == Kind.DIGIT) | ((kind_of == Kind.LETTER) & (first == last))
    place = np.flatnonzero(kinds == Kind.OPERATOR)
    star = codes[place] == ord("*")
    emphasis = star & ((codes[place - 1] == ord("*")) | (codes[place + 1] == ord("*")))
    place = place[~emphasis]
    gram = np.searchsorted(first, place)
    if not len(place) or not len(first):
        return operators, starts
    gap = first[np.minimum(gram, len(first) - 1)] - place - 1
    fits = (gram < len(first)) & (gap >= 0) & (gap <= MAX_GAP)
    fits[fits] = takes[gram[fits]]
    place, gram, gap = place[fits], gram[fits], gap[fits]
    for k in range(1, int(gap.max(initial=0)) + 1):
        fits = (gap < k) | (kinds[np.minimum(place + k, len(kinds) - 1)] == Kind.FILLER)
        place, gram, gap = place[fits], gram[fits], gap[fits]
    found = _operator_numbers()[codes[place]]
    double = (codes[place] == ord("=")) & ((codes[place - 1] == ord("<")) | (codes[place - 1] == ord(">")))
    found = np.where(double, _operator_numbers()[codes[place - 1]], found)  # <= is ≤ is <
    unsure = _at_line_start(codes, place) | ((codes[place] == ord("*")) & (gap == 0) & (kinds[place - 1] < Kind.POINT))
    operators[gram] = found | np.where(unsure, UNSURE, 0).astype(np.uint8)
    starts[gram] = place - double
    for operator, gram_number in zip(place.tolist(), gram.tolist(), strict=True) if sign_starts else ():
        starts[gram_number] = sign_starts.get(operator, starts[gram_number])
    return operators, starts


_LINE_MARKS = np.isin(np.arange(256), [ord(char) for char in " \t>*-+|#"])


def _at_line_start(codes: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Whether nothing but marks of quoting, lists and headings stands before each place in its line."""
    result = np.zeros(len(place), dtype=bool)
    alive, back = np.arange(len(place)), place - 1
    while len(alive):
        code = codes[np.maximum(back, 0)]
        newline = (code == ord("\n")) | (code == ord("\r"))
        result[alive[newline]] = True
        on = (code < 256) & ~newline & (back > 0)
        on[on] = _LINE_MARKS[code[on]]
        alive, back = alive[on], back[on] - 1
    return result


# --- for people and tests -------------------------------------------------------------------------


def grams(text: str) -> list[str]:
    """The grams of a text in order, operators in front of the grams they belong to."""
    found = tokenise(text)
    operators = [OPERATORS[number & ~UNSURE].strip() for number in found.operators.tolist()]
    return [operator + found.spell(i) for i, operator in enumerate(operators)]


def identifying(found: Grams) -> tuple[np.ndarray, np.ndarray]:
    r"""[N] which grams are words that can identify a text, and which are CJK characters, two of which are one word.

    Numbers, single letters and TeX commands do not count: `\frac{3}{4}` has three grams and stands on every other page.
    """
    starts_with_digit = (found.codes[found.first_codes] >= ord("0")) & (found.codes[found.first_codes] <= ord("9"))
    words = ~found.is_cjk & ~found.is_command & ~starts_with_digit & (found.last_codes > found.first_codes)
    return words, found.is_cjk
