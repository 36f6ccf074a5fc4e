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
import hashlib
import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mathwright.corpus.text import CJK, INVISIBLE

# Kinds of characters; those from LETTER on make grams.
_OTHER, _FILLER, _OPERATOR, _POINT, _COMMA, _INVISIBLE, _LIGATURE, _LETTER, _DIGIT, _RAISED, _CJK = range(11)

OPERATORS = " -+*/=<>^≠"
"""Operators by their number in `Grams.operators`; 0 is none."""
UNSURE = 128
"""Added to an operator that may be no operator: `- 3` at the start of a line, `*3*`, an en dash."""

_EN_DASH = 0x2013
_SIGNS = {
    **dict.fromkeys("−‐‑", "-"),
    **dict.fromkeys("×·⋅∗", "*"),
    **dict.fromkeys("÷∕⁄", "/"),
    **dict.fromkeys("≤⩽", "<"),
    **dict.fromkeys("≥⩾", ">"),
}
_TEX_SIGNS = {
    **dict.fromkeys(("times", "cdot", "ast"), "*"),
    **dict.fromkeys(("div",), "/"),
    **dict.fromkeys(("le", "leq", "leqslant", "lt"), "<"),
    **dict.fromkeys(("ge", "geq", "geqslant", "gt"), ">"),
    **dict.fromkeys(("ne", "neq"), "≠"),
}
_TEX_LAYOUT = (
    "left right big Big bigg Bigg bigl bigr Bigl Bigr quad qquad displaystyle textstyle text textbf textit textrm "
    "textsf texttt emph underline mathrm mathbf mathit mathsf mathbb mathcal boldsymbol bm mbox operatorname limits "
    "nolimits"
)
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega varepsilon varphi vartheta"
)
_GREEK = dict(zip(_GREEK_NAMES.split(), "αβγδεζηθικλμνξπρστυφχψωεφθ", strict=True))
_TEX_OTHER_NAMES = {**_GREEK, **dict.fromkeys(("dfrac", "tfrac", "cfrac"), "frac")}
_LIGATURES = ("ff", "fi", "fl", "ffi", "ffl", "st", "st")  # from U+FB00 on

_TAGS = (
    "a abbr b big br center code div em font h[1-6] hr i img li mark ol p pre q s small span strike strong sub sup "
    "table tbody td th thead tr tt u ul"
)
_TAG = re.compile(rf"</?(?:{'|'.join(_TAGS.split())})(?:\s[^<>]{{0,200}})?/?>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6}|#[xX][0-9a-fA-F]{1,6});")
_BROKEN_WORD = re.compile(r"-(?<=[^\W\d_]-)\r?\n[ \t>]*(?=[^\W\d_])")
"""A hyphen at the end of a line inside a word."""
SETTLED_CHARS = 256
"""A gram that ends this far before the end of a piece of text is the same whatever follows."""

_LAST = 0x3FFFF
_PAD = 8
_SEPARATOR = "\n<;\n"
"""Between texts that are handled together: no tag, entity, number or operator runs over it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    folded: np.ndarray
    """[code point] in lower case, without accent, in one form."""
    folded_16: np.ndarray
    """The same for code points of 16 bits."""
    kinds: np.ndarray
    """[code point] uint8."""
    ascii_lower: bytes
    ascii_kinds: bytes


@functools.cache
def _table() -> _Table:
    folded = np.arange(_LAST + 1, dtype=np.uint32)
    kinds = np.zeros(_LAST + 1, dtype=np.uint8)
    is_cjk = re.compile(f"[{CJK}]").match
    for code in range(0x20000):
        char = chr(code)
        kinds[code], folded[code] = _kind_and_form(char, is_cjk(char) is not None)
    kinds[0x20000:] = _CJK
    kinds[_LAST] = _OTHER  # what lies above, too
    return _Table(
        folded=folded,
        folded_16=folded[: 1 << 16].astype(np.uint16),
        kinds=kinds,
        ascii_lower=bytes(folded[:256].astype(np.uint8)),
        ascii_kinds=bytes(kinds[:256]),
    )


def _kind_and_form(char: str, is_cjk: bool) -> tuple[int, int]:
    category = unicodedata.category(char)
    if char == "–":
        return _OPERATOR, _EN_DASH
    if char in _SIGNS or char in OPERATORS[1:]:
        return _OPERATOR, ord(_SIGNS.get(char, char))
    if char.isspace() or char in "${}([\\":
        return _FILLER, ord(char)
    if char in ".,":
        return _POINT if char == "." else _COMMA, ord(char)
    if "\ufb00" <= char <= "\ufb06":
        return _LIGATURE, ord(char)
    if is_cjk:
        return _CJK, ord(unicodedata.normalize("NFKC", char)[0])
    if category in ("Cf", "Mn", "Me") or category == "Cc" or INVISIBLE.match(char):
        return _INVISIBLE, ord(char)
    if unicodedata.digit(char, None) is not None and (char in "²³¹" or 0x2070 <= ord(char) <= 0x2089):
        return (_DIGIT if ord(char) >= 0x2080 else _RAISED), ord(str(unicodedata.digit(char)))
    if not char.isalnum():
        form = unicodedata.normalize("NFKC", char)  # full-width brackets and signs
        return _kind_and_form(form, False) if len(form) == 1 and form not in (char, ",", ".") else (_OTHER, ord(char))
    if category == "Nd":
        return _DIGIT, ord(str(unicodedata.digit(char)))
    plain = unicodedata.normalize("NFKC", char)
    base = unicodedata.normalize("NFD", plain if len(plain) == 1 and plain.isalpha() else char)
    if len(base) > 1 and not all(unicodedata.combining(mark) for mark in base[1:]):
        base = char  # a Hangul syllable
    lower = base[0].lower()[0]
    return _LETTER, ord("σ" if lower == "ς" else lower)


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
        return self.kinds[self.first_codes] == _CJK

    def spell(self, i: int) -> str:
        """A gram without its operator."""
        word = "".join(map(chr, self.codes[self.first_codes[i] : self.last_codes[i] + 1].tolist()))
        return _TEX_OTHER_NAMES.get(word, word) if self.is_command[i] else word


def tokenise(text: str, *, at_line_start: bool = True, join_hyphens: bool = False) -> Grams:
    """The grams of a text.

    `at_line_start` is False for a piece of a text that starts behind a gram in the same line. `join_hyphens` reads
    "alto-\\ngether" as one word; which words are meant to have a hyphen, no rule knows.
    """
    pad = ("\n" if at_line_start else ";") * _PAD
    text = f"{pad}{text}{pad}"
    codes, kinds = _classify(text)
    _read_markup(text, codes, kinds)
    if join_hyphens:
        for match in _BROKEN_WORD.finditer(text):
            kinds[match.start() : match.end()] = _INVISIBLE
    codes, kinds, origin = _without_invisible(codes, kinds)
    _join_decimals(kinds)
    first, last = _runs(kinds)
    words = _hash_words(codes, first, last)
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


def _classify(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Folded code points and kinds of the characters of a text, both to be written into."""
    table = _table()
    if text.isascii():
        raw = text.encode("ascii")
        codes = np.frombuffer(bytearray(raw.translate(table.ascii_lower)), dtype=np.uint8)
        return codes, np.frombuffer(bytearray(raw.translate(table.ascii_kinds)), dtype=np.uint8)
    at = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), dtype=np.uint16).astype(np.intp)
    if len(at) == len(text):
        return table.folded_16[at], table.kinds[at]
    at = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.intp)
    np.minimum(at, _LAST, out=at)
    return table.folded[at], table.kinds[at]


def _read_markup(text: str, codes: np.ndarray, kinds: np.ndarray) -> None:
    """Blank HTML tags, and put an entity's character in its place."""
    if "<" in text:
        for match in _TAG.finditer(text):
            kinds[match.start() : match.end()] = _FILLER
            if match[0][:4].lower() == "<sup":
                codes[match.end() - 1], kinds[match.end() - 1] = ord("^"), _OPERATOR
    if "&" in text:
        for match in _ENTITY.finditer(text):
            char = html.unescape(match[0])
            if len(char) == 1 and (codes.dtype != np.uint8 or char.isascii()):
                kinds[match.start() : match.end()] = _INVISIBLE
                code = min(ord(char), _LAST)
                codes[match.end() - 1], kinds[match.end() - 1] = _table().folded[code], _table().kinds[code]
            elif char != match[0]:
                kinds[match.start() : match.end()] = _FILLER


def _without_invisible(codes: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Codes and kinds with ligatures spelled out, without invisible characters and marks for thousands.

    The third value says where each character that is left stood; None where all are left.
    """
    origin = None
    if (ligature := kinds == _LIGATURE).any():
        names = [_LIGATURES[int(code) - 0xFB00] for code in codes[ligature]]
        repeats = np.ones(len(codes), dtype=np.int64)
        repeats[ligature] = [len(name) for name in names]
        origin = np.repeat(np.arange(len(codes)), repeats)
        codes, kinds, inside = codes[origin], kinds[origin], np.repeat(ligature, repeats)
        codes[inside] = [ord(char) for char in "".join(names)]
        kinds[inside] = _LETTER
    drop = kinds == _INVISIBLE
    begin, end = _thousands(codes, kinds)
    drop[ranges(begin, end)] = True
    if not drop.any():
        return codes, kinds, origin
    keep = np.flatnonzero(~drop)
    return codes[keep], kinds[keep], keep if origin is None else origin[keep]


def _thousands(codes: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Begin and end of the marks between thousands: `,` `{,}` `\,` and `,\!` between up to three digits and three."""
    commas = np.flatnonzero(kinds == _COMMA)
    left, right = commas - 1, commas + 1
    left = left - ((codes[left] == ord("{")) | (codes[left] == ord("\\")))
    right = right + (codes[right] == ord("}"))
    right = right + 2 * ((codes[right] == ord("\\")) & (codes[right + 1] == ord("!")))
    fits = (kinds[left] == _DIGIT) & (kinds[right] == _DIGIT)
    left, right = left[fits], right[fits]
    three = (kinds[right + 1] == _DIGIT) & (kinds[right + 2] == _DIGIT) & (kinds[right + 3] != _DIGIT)
    four_before = (kinds[left - 1] == _DIGIT) & (kinds[left - 2] == _DIGIT) & (kinds[left - 3] == _DIGIT)
    three &= ~four_before
    return left[three] + 1, right[three]


def ranges(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """All whole numbers from begin[i] to end[i], end exclusive, for each i, one range after another."""
    lengths = end - begin
    before = np.cumsum(lengths) - lengths
    return np.repeat(begin - before, lengths) + np.arange(int(lengths.sum()))


def _join_decimals(kinds: np.ndarray) -> None:
    points = np.flatnonzero(kinds == _POINT)
    kinds[points[(kinds[points - 1] == _DIGIT) & (kinds[points + 1] == _DIGIT)]] = _DIGIT


def _runs(kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last place of each gram."""
    in_gram = kinds >= _LETTER
    cuts = np.empty(len(kinds) + 1, dtype=bool)
    cuts[0] = cuts[-1] = True
    np.not_equal(kinds[1:], kinds[:-1], out=cuts[1:-1])
    alone = kinds == _CJK
    first = np.flatnonzero(in_gram & (cuts[:-1] | alone))
    last = np.flatnonzero(in_gram & (cuts[1:] | alone))
    return first, last


_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_LONG_WORD = 32
_LOW_CODES = np.array([(1 << 16 * n) - 1 for n in range(5)], dtype=np.uint64)
"""By n: keeps the first n of four codes."""


def _hash_words(codes: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """A hash of each stretch of codes, four codes at a time; `codes` goes on for three codes behind the last."""
    short = codes.astype(
        np.uint16, copy=False
    )  # what is lost of characters above U+FFFF is mixed in for the first of a word
    pairs = short[:-1] | (short[1:].astype(np.uint32) << np.uint32(16))
    lengths = last - first + 1
    hashes = _four_codes(pairs, first, lengths)
    hashes += lengths.astype(np.uint64) * _FACTOR
    if codes.dtype == np.uint32:
        hashes += codes[first] >> np.uint32(16)
    hashes = mix(hashes)
    longer = np.flatnonzero((lengths > 4) & (lengths <= _LONG_WORD))
    at, left = first[longer] + 4, lengths[longer] - 4
    while len(longer):
        hashes[longer] = mix(hashes[longer] ^ _four_codes(pairs, at, left))
        more = left > 4
        longer, at, left = longer[more], at[more] + 4, left[more] - 4
    for i in np.flatnonzero(lengths > _LONG_WORD).tolist():
        word = codes[first[i] : last[i] + 1].astype(np.uint32).tobytes()
        hashes[i] = int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "little")
    return hashes


def _four_codes(pairs: np.ndarray, at: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Up to four codes from each place on, as one number."""
    four = pairs[at + 2].astype(np.uint64)
    four <<= np.uint64(32)
    four |= pairs[at]
    four &= _LOW_CODES[np.minimum(left, 4)]
    return four


def mix(hashes: np.ndarray) -> np.ndarray:
    """Spread each hash over all of its bits."""
    hashes = hashes * _MIX
    hashes ^= hashes >> np.uint64(32)
    hashes *= _FACTOR
    hashes ^= hashes >> np.uint64(29)
    return hashes


def hash_word(word: str) -> int:
    """The hash that `tokenise` gives a word of folded characters."""
    codes = np.array([*map(ord, word), 0, 0, 0], dtype=np.uint32)
    return int(_hash_words(codes, np.array([0]), np.array([len(word) - 1]))[0])


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
    meaning = {hash_word(name.lower()): ("", "") for name in _TEX_LAYOUT.split()}
    meaning |= {hash_word(name): ("", sign) for name, sign in _TEX_SIGNS.items()}
    meaning |= {hash_word(name): (form, "") for name, form in _TEX_OTHER_NAMES.items()}
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
    is_command = (codes[first - 1] == ord("\\")) & (kinds[first] == _LETTER)
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
    kinds[ranges(first[gone], last[gone] + 1)] = _FILLER
    sign = known.signs[at[~named]]
    gone, sign = gone[sign > 0], sign[sign > 0]
    kinds[last[gone]] = _OPERATOR
    codes[last[gone]] = sign.astype(codes.dtype)  # in an ASCII text the low byte of ≠, which is no ASCII, stands for it
    sign_starts.update(zip(last[gone].tolist(), (first[gone] - 1).tolist(), strict=True))
    return first[keep], last[keep], words[keep], is_command[keep]


_MAX_GAP = 12
"""Brackets and spaces between an operator and its gram."""


@functools.cache
def _operator_numbers() -> np.ndarray:
    numbers = np.zeros(_LAST + 1, dtype=np.uint8)
    for number, char in enumerate(OPERATORS):
        numbers[ord(char)] = number
    numbers[ord("≠") & 0xFF] = numbers[ord("≠")]  # as an ASCII text holds it
    numbers[_EN_DASH] = OPERATORS.index("-") | UNSURE
    numbers[ord(" ")] = 0
    return numbers


def _read_operators(
    codes: np.ndarray, kinds: np.ndarray, first: np.ndarray, last: np.ndarray, sign_starts: dict[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The operator of each gram, and where the gram begins with it."""
    kind_of = kinds[first]
    operators = np.where(kind_of == _RAISED, OPERATORS.index("^"), 0).astype(np.uint8)
    starts = first.copy()
    takes = (kind_of == _DIGIT) | ((kind_of == _LETTER) & (first == last))
    place = np.flatnonzero(kinds == _OPERATOR)
    star = codes[place] == ord("*")
    emphasis = star & ((codes[place - 1] == ord("*")) | (codes[place + 1] == ord("*")))
    place = place[~emphasis]
    gram = np.searchsorted(first, place)
    if not len(place) or not len(first):
        return operators, starts
    gap = first[np.minimum(gram, len(first) - 1)] - place - 1
    fits = (gram < len(first)) & (gap >= 0) & (gap <= _MAX_GAP)
    fits[fits] = takes[gram[fits]]
    place, gram, gap = place[fits], gram[fits], gap[fits]
    for k in range(1, int(gap.max(initial=0)) + 1):
        fits = (gap < k) | (kinds[np.minimum(place + k, len(kinds) - 1)] == _FILLER)
        place, gram, gap = place[fits], gram[fits], gap[fits]
    found = _operator_numbers()[codes[place]]
    double = (codes[place] == ord("=")) & ((codes[place - 1] == ord("<")) | (codes[place - 1] == ord(">")))
    found = np.where(double, _operator_numbers()[codes[place - 1]], found)  # <= is ≤ is <
    unsure = _at_line_start(codes, place) | ((codes[place] == ord("*")) & (gap == 0) & (kinds[place - 1] < _POINT))
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
