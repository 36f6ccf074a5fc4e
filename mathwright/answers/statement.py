"""Read the value that a sentence states, from the place where it begins: "12, which is 5 + 7" states 12.

A value is one or several numbers, formulas or letters with the words that belong to them (units, what is counted). It
ends with its sentence, or where a clause begins behind it: at a comma that no further value follows, at a remark in
brackets or behind a dash, or at a conjunction, preposition or relative pronoun. That is a closed class of words, so
the list is the language's and not one of cases. A sentence that begins with other words ("the area is 12") states what
stands behind its verb.

Everything is one pass over at most `MAX_ANSWER_CHARS` characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mathwright.answers.formulas import formulas, last
from mathwright.answers.normalise import MAX_ANSWER_CHARS
from mathwright.answers.spelled import number_in_words
from mathwright.answers.vocabulary import canonical

MAX_WORDS_BEFORE = 2
"""So many words may stand before a value ("the number 12"); behind more it is part of a sentence."""
MAX_REFUSED_CHARS = 80
"""Of "not 5 but 6" the "but" stands within so many characters."""

_CONDITIONS = frozenset(
    ("because", "since", "if", "unless", "whether", "when", "whenever", "although", "though", "provided", "assuming")
)
"""Behind these stands a reason or a condition, never the value."""
_CLAUSE_WORDS = _CONDITIONS | frozenset(
    """as where while which that who whose so thus hence therefore but nor for by with without from after before instead
    rather not namely meaning i.e e.g is are was were has have given up out at on during of among into than between
    within through until""".split()  # noqa: SIM905
)
_JOINING = frozenset(("by", "of", "out"))
_ADVERB = re.compile(
    r"(?:therefore|thus|hence|then|simply|just|indeed|exactly|clearly|precisely|actually|now|as follows"
    r"|either|both|equal to|given by|found to be|going to be)(?![a-zA-Z]),?",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"(?P<number>[¥￥$€£]?\d(?:[\d,.]*+(?<=\d))?)|(?P<word>(?:i\.e|e\.g|[A-Za-z]++(?:['’][a-z]++)?+))|(?P<command>\\[A-Za-z]++)"
    r"|(?P<space>[ \t]++)|(?P<other>\\?[^A-Za-z\d])|(?P<digit>\d)|\\",
    re.DOTALL,
)
_DENIED = re.compile(r"(?:not|never|neither(?=[^\n]{1,60}? nor ))(?![a-zA-Z])", re.IGNORECASE)
_BOXES = frozenset(("\\boxed", "\\fbox"))
_OPTION = re.compile(r"[(（\[]?\s{0,2}[A-Z]\s{0,2}[)）\]](?!\w)")
_SYMBOLS = frozenset("π√∞∅ℝ½¼¾⅓⅔°%±")
_OPENING, _CLOSING = frozenset("([{（【") | {"\\{"}, frozenset(")]}）】") | {"\\}"}
_COMMAS, _DASHES = frozenset(",，、;；:："), frozenset("-–—")
_FUNCTIONS = frozenset(
    "sqrt pi sin cos tan cot sec csc log ln exp arcsin arccos arctan mod inf infinity".split()  # noqa: SIM905
)
_BULLET = re.compile(r"[ \t]*+(?:[-•+]|\*(?!\*)|\(?(?P<number>\d{1,2})[.)])[ \t]++(?P<item>\S[^\n]*+)(?:\n|\Z)")
_MARKERS = ("**", "__", "*", "_", "`", '"', "“”", "'", "‘’", "【】")
"""What emphasises or quotes a value: the same on both sides, or two characters."""
_QUOTES = ('"', "“", "'", "‘")
_FENCE_LINE = re.compile(r"`{3,}+\w*+[ \t]*+\n")
_STYLED = re.compile(r"\\(?:text(?:bf|it|rm)?|mathbf|mathrm|mbox)\s{0,4}\{")
_PROSE_WORD = re.compile(r"(?<![\\a-zA-Z{])[a-zA-Z]{3,}+(?!\})")
_VERB = re.compile(r"(?<![a-zA-Z])(?:is|are|equals|was|be)(?![a-zA-Z])|=")
NUMBER = re.compile(r"(?<![\d,.])-?[$¥€£]?\d[\d,]*+(?:\.\d++)?(?:/\d++)?%?")
_CHINESE_OPTION = re.compile(r"选项\s?([A-J])(?![A-Za-z]).*+|([A-J])\s?选?项", re.DOTALL)
_COMPUTED = re.compile(r"(?:[\d\s.,+\-−*/×÷·()^%!{}]|\\(?:cdot|times|div|[dt]?frac)(?![a-zA-Z]))++")
_FIRST_WORD = re.compile(r"[A-Za-z]{2,}+")
_HAS_VALUE = re.compile(r"[\d\\π√∞∅½¼¾⅓⅔]|(?<![A-Za-z])[A-Z](?![A-Za-z])|[零〇一二两三四五六七八九十百千万亿]")
_CJK = re.compile(r"[\u4e00-\u9fff]")
_CHINESE_VERB = re.compile(r"[是为能有要需可共还买用了比剩得到](?=.)")
_CHINESE_NUMERAL = re.compile(r"[负零〇一二两三四五六七八九十百千万亿点分之]++\s*+[\u4e00-\u9fff]{0,4}\Z")
_CHINESE_VALUE = re.compile(r"\$[^$]++\$|\\frac\{[^{}]*+\}\{[^{}]*+\}|-?[¥￥]?\d[\d,.]*+(?:/\d++)?")


@dataclass(frozen=True, slots=True)
class Stated:
    """What a sentence states."""

    text: str
    is_value: bool
    """Whether it is one beyond doubt: a number, a formula, a letter, or words that are an answer ("no solution")."""


def read_value(rest: str, *, whole_sentence: bool = False) -> Stated | None:
    """The value that `rest` begins with; None where it states none: a question, a negation, or nothing.

    `whole_sentence`: the sentence is a full one (答：小明有5个苹果), whose last clause counts.
    """
    rest = rest[:MAX_ANSWER_CHARS]
    if listed := _bullets(rest):
        return listed
    rest = _without_markers(rest)
    if _DENIED.match(rest):
        _, but, rest = rest[:MAX_REFUSED_CHARS].partition(" but ")
        if not but:
            return None
    sentence = _sentence(rest, whole_sentence)
    if sentence is None:
        return None
    sentence = sentence.strip(" \t\r\n*_\"'“”‘’`,，;；").rstrip(" *_.．。")
    spans = list(formulas(sentence))
    if len(spans) == 1 and spans[0].start == 0 and spans[0].end == len(sentence):
        inner = spans[0].inner.strip()
        return Stated(inner, True) if inner else None
    if option := _CHINESE_OPTION.fullmatch(sentence):
        return Stated(option.group(1) or option.group(2), True)
    value = _result(_without_prose(sentence).strip())
    return Stated(value, _is_value(value)) if value else None


# --- where the value ends -------------------------------------------------------------------------


def _bullets(rest: str) -> Stated | None:
    """Values that stand in a list below: "The answers are:", then a line with a bullet for each."""
    position = len(rest) - len(rest.lstrip(" \t:：*_"))
    if not rest.startswith("\n", position):
        return None
    position = len(rest) - len(rest[position:].lstrip())
    values: list[str] = []
    while item := _BULLET.match(rest, position):
        stated = read_value(item.group("item"))
        is_next = item.group("number") in (None, str(len(values) + 1))
        if stated is None or not stated.is_value or not is_next:
            return None
        values.append(stated.text)
        position = item.end()
    return Stated(", ".join(values), True) if values else None


def _without_markers(rest: str) -> str:
    """`rest` without what stands before a value: blanks, adverbs, emphasis and quotation marks around it."""
    while True:
        before = rest
        rest = rest.lstrip(" \t\r\n:：}").removeprefix("\\ ")
        if fence := _FENCE_LINE.match(rest):
            rest = rest[fence.end() :]
        if adverb := _ADVERB.match(rest):
            rest = rest[adverb.end() :]
        for marker in _MARKERS:
            opening, closing = marker if len(marker) == 2 and marker[0] != marker[1] else (marker, marker)
            if rest.startswith(opening):
                rest = _unmarked(rest, opening, closing)
                break
        if styled := _STYLED.match(rest):
            rest = rest[styled.end() :].replace("}", "", 1)
        if rest == before:
            return rest


def _unmarked(rest: str, opening: str, closing: str) -> str:
    inner = rest[len(opening) :]
    if not inner[:1].strip():
        return inner  # the closing one of a label: **Answer:** 12
    line_end = inner.find("\n") if "\n" in inner else len(inner)
    close = inner.find(closing, 0, line_end)
    if close < 0:
        return inner
    if opening in _QUOTES:
        return inner[:close]
    return inner[:close] + inner[close + len(closing) :]


def _sentence(rest: str, whole_sentence: bool) -> str | None:
    """`rest` up to where its value ends, formulas taken as one; None for a question."""
    spans = formulas(rest)
    formula = next(spans, None)
    position = num_words = depth = 0
    has_value = False
    if option := _OPTION.match(rest):
        position, has_value = option.end(), True
    while position < len(rest):
        while formula is not None and formula.start < position:
            formula = next(spans, None)
        if formula is not None and formula.start == position:
            has_value, position = True, formula.end
            continue
        token = _TOKEN.match(rest, position)
        assert token is not None  # every character is of some kind
        text = token.group()
        stands_first = has_value and num_words <= MAX_WORDS_BEFORE and not whole_sentence
        if text == "\n" or text in _BOXES:  # a box that is not closed
            break
        if depth == 0:
            if text in ("?", "？"):
                return None
            if _ends_sentence(rest, position, has_value) or _begins_clause(rest, token, stands_first):
                break
            if text in _CLOSING and (has_value or num_words):
                break
        if text in _OPENING:
            depth += 1
        elif text in _CLOSING:
            depth = max(0, depth - 1)
        elif _is_value_token(rest, token) or (_CHINESE_NUMERAL.match(text) and not whole_sentence):
            has_value = True
        elif token.lastgroup == "word" and not has_value:
            num_words += 1
        position = token.end()
    return rest[:position]


def _is_value_token(rest: str, token: re.Match[str]) -> bool:
    text = token.group()
    if token.lastgroup == "word":
        return _is_letter(rest, token) or text.lower() in _FUNCTIONS
    return token.lastgroup in ("number", "command", "digit") or text in _SYMBOLS


def _begins_clause(rest: str, token: re.Match[str], stands_first: bool) -> bool:
    """Whether a clause begins here behind the value, if the value stands first; a condition ends a sentence anyway."""
    text = token.group()
    word = text.lower()
    if word in _CONDITIONS:
        return True
    if not stands_first:
        return False
    if word in ("and", "or", "to") or text in _COMMAS:  # 3 to 2 is a ratio
        return not _another_value(rest, token.end())
    if word in _JOINING and _another_value(rest, token.end()):  # 12 cm by 5 cm, 12 of 20
        return False
    if word == "in":  # inches, unless a word follows
        return rest[token.end() : token.end() + 2].strip().isalpha()
    if text in _DASHES:
        return _is_aside(rest, token.start())
    if text in _OPENING:
        return _is_remark(rest, token.start())
    return word in _CLAUSE_WORDS and not rest.startswith("(", token.end())


def _is_letter(rest: str, token: re.Match[str]) -> bool:
    """Whether a word of one letter is a variable or an option, not an article or a pronoun before another word."""
    if len(token.group()) > 1:
        return False
    following = rest[token.end() : token.end() + 3]
    return token.group() not in "aAI" or not (following[:1] == " " and following[1:].isalpha() and len(following) == 3)


def _ends_sentence(rest: str, position: int, has_value: bool) -> bool:
    character, following = rest[position], rest[position + 1 : position + 2]
    if character in "。．":
        return True
    if character == ".":
        if following and not following.isspace() and following not in "*_<\"”'’)$|":
            return False
        return has_value or not rest[position + 1 : position + 3].strip().isdigit()  # approx. 5
    if character == "<":
        return following in "/|"
    if character == "|":
        return has_value and rest[position - 1 : position] == " " and following in " \n" and "|" not in rest[:position]
    return character == "!" and (not has_value or not rest[position - 1].isalnum()) and not following.strip()


def _another_value(rest: str, position: int) -> bool:
    """Whether what follows a comma, "and" or "or" is a value again: a number, a formula, a letter, brackets."""
    following = rest[position : position + 40]
    if following[:1].isdigit():
        return True
    following = following.lstrip()
    stated = rest[: position - 1]
    if following.startswith("or ") and rest[position - 1] == "," and "," not in stated and "=" not in stated:
        return False  # "1/2, or 50%" says one value twice; "3, 4, or 5" and "x = 3, or x = 4" are several
    for word in ("and ", "or ", "of ", "和", "或", "与"):
        if following.startswith(word):
            following = following.removeprefix(word).lstrip()
            break
    word = _TOKEN.match(following)
    if word is None:
        return False
    if word.lastgroup == "word":
        return (
            (len(word.group()) == 1 and _is_letter(following, word))
            or word.group().lower() in _FUNCTIONS
            or number_in_words(word.group()) is not None
            or word.group().lower() in ("option", "choice")
        )
    if word.group().startswith("\\"):
        return True
    if word.group() in "(（[":
        return not _is_remark(following, 0)
    return bool(_CHINESE_NUMERAL.match(word.group())) or (
        word.lastgroup in ("number", "command", "digit")
        or word.group() in "+-−$\\*±"
        or word.group() in _SYMBOLS
        or word.group() in ("\\{", "\\(", "\\[", "\\$")
    )


def _is_remark(rest: str, position: int) -> bool:
    """Whether a bracket behind a value holds words: "12 (since 5 + 7 = 12)", but not "f(x)" or "(mod 7)"."""
    if position and not rest[position - 1].isspace() and not _CJK.match(rest[position - 1]):
        return False
    word = _TOKEN.match(rest, position + 1)
    if word is None:
        return False
    if _CJK.match(word.group()):
        return True
    return word.lastgroup == "word" and len(word.group()) > 1 and word.group().lower() not in _FUNCTIONS


def _is_aside(rest: str, position: int) -> bool:
    """Whether a dash between blanks has words behind it: "12 - a nice number"."""
    if not rest[position - 1 : position].isspace():
        return False
    following = rest[position + 1 : position + 24].lstrip("-–— ")
    word = _TOKEN.match(following)
    if word is None or word.lastgroup != "word":
        return False
    return (word.group().lower() not in _FUNCTIONS and not _is_letter(following, word)) or len(word.group()) > 1


# --- sentences ------------------------------------------------------------------------------------


def _without_prose(sentence: str) -> str:
    """Of "the volume of $ABC$ is 120" what follows the verb; of other long prose its only formula or number.

    Of a Chinese sentence its last number with what is counted: 小明有5个苹果 gives 5个苹果.
    """
    if _CJK.search(sentence):
        return _of_chinese(sentence)
    if len(_PROSE_WORD.findall(sentence)) < 2:
        return sentence
    verbs = list(_VERB.finditer(sentence))
    if verbs and len(_PROSE_WORD.findall(sentence, verbs[-1].end())) < 3:
        return sentence[verbs[-1].end() :].strip().strip("$")
    found = [formula.inner for formula in formulas(sentence)] or [n.group() for n in NUMBER.finditer(sentence)]
    return found[0] if len(found) == 1 else sentence


def _of_chinese(sentence: str) -> str:
    verb = last(_CHINESE_VERB.finditer(sentence))
    if verb is None or _CHINESE_NUMERAL.match(sentence):
        return sentence
    value = last(_CHINESE_VALUE.finditer(sentence))
    if value is not None and not any(mark in sentence[value.end() :] for mark in "$\\，,；;"):
        return sentence[value.start() :].replace("$", "")
    return sentence[verb.end() :] if verb.group() in "是为" else sentence


def _result(text: str) -> str:
    """Of a computation (3 * 4 = 12) its result: the last side that is a plain number, or else all of it."""
    sides = text.split("=")
    if len(sides) < 2 or not all(_COMPUTED.fullmatch(side) for side in sides):
        return text
    return next((side.strip() for side in reversed(sides) if NUMBER.fullmatch(side.strip())), text)


def _is_value(text: str) -> bool:
    first = _FIRST_WORD.match(text)
    if first and first.group().lower() in _CLAUSE_WORDS:
        return False  # between 10 and 20, in dollars
    if len(_PROSE_WORD.findall(text)) <= MAX_WORDS_BEFORE and _HAS_VALUE.search(text):
        return True
    words = text.lower().strip(" .")
    return (
        canonical(words) != words
        or words in ("yes", "no", "undefined")
        or number_in_words(words) is not None
        or bool(_CJK.search(text) and _HAS_VALUE.search(text))
    )
