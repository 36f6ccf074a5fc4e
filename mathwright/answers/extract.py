"""Find the final answer in a response.

Linear by construction: what may not answer is taken out in one pass (`searched.py`), of the rest the last
`SEARCHED_CHARS` characters are looked at, every pattern that runs over them is a word or a run that is taken whole, and
what stands around a word is read in windows of fixed size, `MAX_TRIES` at most.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from mathwright.answers.boxes import last_boxes
from mathwright.answers.formulas import formulas, last
from mathwright.answers.normalise import MAX_ANSWER_CHARS
from mathwright.answers.searched import answering_text
from mathwright.answers.statement import NUMBER, Stated, read_value

SEARCHED_CHARS = 50_000
"""So much of a response, from its end, is searched: no final answer has more behind it."""
MAX_TRIES = 64
"""So many announcements are looked at, from the end; more are an attack or a loop."""

_WINDOW = 80
"""So many characters around a word like "answer" say whether it announces an answer."""

_POLITE = "I hope it is correct"
_POLITE_LINK = re.compile(r"final answer is:?", re.IGNORECASE)
_TAG = re.compile(r"<(?:final[_ -]?)?answer>", re.IGNORECASE)
_TAG_END = re.compile(r"</(?:final[_ -]?)?answer>", re.IGNORECASE)

_ANCHOR = re.compile(  # begins with a set of characters: Python passes over all others at once
    r"[AaBbCcOoRr#答正选](?:(?<![a-zA-Z][\s\S])(?i:"
    r"(?P<answer>(?<=a)ns(?:wers?)?(?![a-z]))"
    r"|(?P<option>(?:(?<=c)orrect|(?<=r)ight|(?<=b)est)\s(?:option|choice)(?![a-z]))"
    r"|(?P<letter>(?:(?<=o)ption|(?<=c)hoice)(?=\s\(?[A-J](?![a-z]))))"
    r"|(?P<hashes>(?<!\S[\s\S])(?<=#)###(?!#))"
    r"|(?P<chinese>(?<=答)案|(?<=正)确的?(?:选项|选择)|(?<=答)(?=[：:])|(?<=选))"
    r"|(?P<label>(?<=A):))"
)
_CHUNK_CHARS = 2000
"""Anchors are looked for in stretches of so many characters, from the end: most responses answer in the last."""
_LONGEST_ANCHOR = 16
_LINK = re.compile(
    r"(?P<between>(?:[^.\n:：=$\\?|]|\.(?=\d)){0,60}?)"
    r"(?:(?P<verb>(?<![a-zA-Z])(?:is|are|be|equals|was)(?![a-zA-Z'’]))(?:\s{0,3}[:：])?"
    r"|(?P<sign>[-–—=]>|[:：=|]|[→⇒]|(?<=\s)[-–—]\s(?=[\d$\\(*])))"
)
_NEGATION = re.compile(r"(?<![a-zA-Z])(?:not|cannot|never|neither)(?![a-zA-Z])|n['’]t(?![a-zA-Z])|不", re.IGNORECASE)
_CONDITION = re.compile(
    r"(?<![a-zA-Z])(?:if|whether|suppose|supposing|assume|assuming|unless)(?![a-zA-Z])|(?:如果|假设|若)", re.IGNORECASE
)
_AMONG = re.compile(r"(?<![a-zA-Z])of\s(?:the|these|those|our|my|your)\s\Z", re.IGNORECASE)
"""Of several answers something is said: none of these answers is correct."""
_HEADING_END = re.compile(r"[*_:： \t}]*+\n")
_HEADING_START = re.compile(r"[\s#*_>\d.)]*+(?:\\text(?:bf)?\{)?(?:the |my |our )?(?:final )?\Z", re.IGNORECASE)
_DETERMINER = re.compile(r"(?<![a-zA-Z])(?:the|our|my|your|this|a|an)(?![a-zA-Z])", re.IGNORECASE)
_CONNECTIVES = frozenset(
    ["so", "thus", "hence", "therefore", "then", "finally", "and", "now", "here", "text", "textbf"]
)
_LETTERS = re.compile(r"[A-Za-z]++")
_CHINESE_LINK = re.compile(
    r"[\]】*_\s]{0,6}(?:应该|应当|应|就|则)?(?:选择|选项|[是为选]|等于)?[】*_\s]{0,4}(?P<sign>[：:])?"
)
_CHINESE_IS_CORRECT = re.compile(r"项\s?([A-J])\s?(?:是|为)?正确")
_NOT_BUT = re.compile(r"不是[^。\n而]{0,40}而是")
_CHOSEN = re.compile(
    r"(?:故|因此|所以|应|则|综上|综上所述|答案|本题|正确|该题|\A\s?)[,，]?(?:本题|正确|答案|应该|应|该|我们){0,2}\Z"
)
_CHOICE_SIGN = re.compile(r"(?:择|项)?\s{0,3}[：:]?\s{0,3}(?=\**[(（$\\]{0,3}[A-Z])")
_BEFORE_IS = re.compile(
    r"\s(?:is|be)\s(?:the|our|my)(?:\s(?:final|correct|required|right|only|exact)){0,2}\s\Z", re.IGNORECASE
)
_AFTER_IS = re.compile(r"\s{0,3}(?:[.!,;]|\n|\Z|to (?:the|this) (?:question|problem))", re.IGNORECASE)
_VALUE_AT_END = re.compile(r"[-−]?(?:\\?\$)?(?<![\d,.])\d[\d,.]*+(?:/\d++)?\\?%?\Z")
_IS_CORRECT = re.compile(r"\s\(?(?P<letter>[A-J])\)?\s(?:is|must be)\s(?:the\s)?(?:correct|right|answer)")
_SECOND_SENTENCE = re.compile(r"[.!?]\s{1,3}\S|[。？]\S|\n")
_CONCLUSION = re.compile(r"(?<![a-zA-Z])(?:so|therefore|thus|hence)(?![a-zA-Z])", re.IGNORECASE)
_SEVERAL = re.compile(r",\s|(?<![a-zA-Z])(?:and|or)(?![a-zA-Z])")
_LONE_LETTER = re.compile(r"[*$]{0,2}(?:\([A-J]\)|[A-J](?:[).:]|\Z|(?=[*$])))[^\n]{0,80}")
_ENUMERATED = re.compile(r"(?:step\s)?\d{1,3}[.):：]\s{1,3}\S*[A-Za-z]", re.IGNORECASE)


def extract_answer(text: str, *, fallback: bool = False) -> str | None:
    """The final answer of a response, or None where it gives none.

    Thoughts (`<think>`, closed or not), programs and what tools printed are not searched (`searched.py`). Tried in this
    order, the last occurrence winning each time: `\\boxed{}` or `\\fbox{}` (several boxes joined by commas or "and" are
    several answers; an `<answer>` tag, or "The final answer is X. I hope it is correct", the ending of the few-shot
    prompts for MATH, counts where it comes later); a statement: a GSM8K `#### 72`, "the answer is ...",
    "**Answer:** ...", a heading "Final Answer", "the correct option is ...", 答案是, 答案为, 故选, 答：, of which the
    last that states a value wins; a response of a single sentence, or less, that holds one value.

    `fallback`: where none of these is there, take the last formula between math delimiters, else the last number.
    Off by default, since it pays a model for mentioning numbers.
    """
    text = answering_text(text)[-SEARCHED_CHARS:]
    position, boxed = last_boxes(text)
    found = _last_tag(text, position) or _few_shot_ending(text, position) or boxed
    found = found or _last_statement(text) or _only_value(text)
    if not found and fallback:
        found = _last_formula_or_number(text)
    return found or None


def _few_shot_ending(text: str, start: int) -> str | None:
    """The answer in the ending of the few-shot prompts for MATH, where it comes behind the last box."""
    end = text.rfind(_POLITE, start)
    if end < 0:
        return None
    window = text[max(start, end - MAX_ANSWER_CHARS) : end]
    link = last(_POLITE_LINK.finditer(window))
    stated = read_value(window[link.end() :]) if link else None
    return stated.text if stated else None


def _last_tag(text: str, start: int) -> str | None:
    """What stands in the last `<answer>` behind the last box, closed or not."""
    for tag in reversed(list(_TAG.finditer(text, start))[-MAX_TRIES:]):
        content = text[tag.end() : tag.end() + MAX_ANSWER_CHARS]
        if end := _TAG_END.search(content):
            content = content[: end.start()]
        stated = _last_statement(content) or ((value := read_value(content)) and value.text)
        if stated:
            return stated
    return None


# --- statements -----------------------------------------------------------------------------------


def _last_statement(text: str) -> str | None:
    """The last statement of a value; where none is one beyond doubt, the last statement in words."""
    in_words = None
    for anchor in itertools.islice(_anchors_from_the_end(text), MAX_TRIES):
        stated = _STATEMENTS[anchor.lastgroup or ""](text, anchor.start(), anchor.end())
        if stated is None:
            continue
        if stated.is_value:
            return stated.text
        in_words = in_words or stated.text
    return in_words


def _anchors_from_the_end(text: str) -> Iterator[re.Match[str]]:
    for start in range(len(text) - len(text) % _CHUNK_CHARS, -1, -_CHUNK_CHARS):
        end = start + _CHUNK_CHARS
        found = _ANCHOR.finditer(text, start, end + _LONGEST_ANCHOR)
        yield from reversed([anchor for anchor in found if anchor.start() < end])


def _after_answer(text: str, start: int, end: int) -> Stated | None:
    """Of "the answer is X", "Answer: X", a heading "Answer", or "X is the answer"."""
    before, after = _clause_before(text, start), text[end : end + _WINDOW]
    if _CONDITION.search(before) or _AMONG.search(before):
        return None
    if heading := _HEADING_END.match(after):
        line = text[max(0, start - _WINDOW) : start].rpartition("\n")[2]
        return read_value(text[end + heading.end() :][:MAX_ANSWER_CHARS]) if _HEADING_START.fullmatch(line) else None
    if (copula := _BEFORE_IS.search(before)) and _AFTER_IS.match(after):
        return _value_at_end(before[: copula.start()])
    link = _LINK.match(after)
    if link is None or _NEGATION.search(link.group("between")):
        return None
    if link.group("sign") and not _is_label(before, link.group("between")):
        return None
    return read_value(text[end + link.end() :][:MAX_ANSWER_CHARS])


def _clause_before(text: str, start: int) -> str:
    """What stands before `start` in its sentence."""
    window = text[max(0, start - _WINDOW) : start]
    cut = max(window.rfind("\n"), window.rfind(". "), window.rfind("? "), window.rfind("。"))
    return window[cut + 1 :]


def _is_label(before: str, between: str) -> bool:
    """Whether "... answer:" is a label and not the object of a verb ("to check our answer: 12/3 = 4").

    Before a label stand a connective, a determiner and an adjective or two, nothing else; none of the nouns that make
    it another thing (the answer choices) stand behind it.
    """
    if re.match(r"\s(?:choices|options)(?![a-zA-Z])", between):
        return False
    determiner = _DETERMINER.search(before)
    leading = _LETTERS.findall(before[: determiner.start()]) if determiner else []
    words = _LETTERS.findall(before[determiner.end() :] if determiner else before)
    words = [word for word in words if word.lower() not in _CONNECTIVES]
    return all(word.lower() in _CONNECTIVES for word in leading) and len(words) <= 2 and "to" not in words


def _value_at_end(before: str) -> Stated | None:
    """The formula, number or letter that a clause ends with."""
    for formula in formulas(before):
        if formula.end == len(before):
            return Stated(formula.inner.strip(), True)
    before = before.rstrip("*")
    if value := _VALUE_AT_END.search(before, max(0, len(before) - 40)):
        return Stated(value.group(), True)
    word = before.rpartition(" ")[2].strip("()")
    return Stated(word, True) if len(word) == 1 and word.isupper() else None


def _after_option(text: str, start: int, end: int) -> Stated | None:
    before, after = _clause_before(text, start), text[end : end + _WINDOW]
    if _CONDITION.search(before):
        return None
    if (copula := _BEFORE_IS.search(before)) and _AFTER_IS.match(after):
        return _value_at_end(before[: copula.start()])
    link = _LINK.match(after)
    if link is None or _NEGATION.search(link.group("between")):
        return None
    return read_value(text[end + link.end() :][:MAX_ANSWER_CHARS])


def _after_letter(text: str, start: int, end: int) -> Stated | None:
    """Of "option B is correct"."""
    match = _IS_CORRECT.match(text, end, end + _WINDOW)
    if match is None or _CONDITION.search(_clause_before(text, start)):
        return None
    return Stated(match.group("letter"), True)


def _after_hashes(text: str, start: int, end: int) -> Stated | None:
    """Of `#### 72`; a heading of level four ("#### 2. Total") states nothing."""
    line = text[end : end + MAX_ANSWER_CHARS].partition("\n")[0].strip()
    if not line or _ENUMERATED.match(line) or _ANCHOR.search(line):
        return None  # what is announced in the line has an anchor of its own
    stated = read_value(line)
    is_last = not text[end:].strip("# \t\n").removeprefix(line).strip()
    return stated if stated and (stated.is_value or is_last) else None


def _after_label(text: str, start: int, end: int) -> Stated | None:
    """Of a line `A: 26`, unless it is the first of several options."""
    if text[max(0, start - 8) : start].rpartition("\n")[2].strip():
        return None
    line_end = text.find("\n", end)
    if line_end >= 0 and re.match(r"\s{0,8}B[:.]", text[line_end : line_end + 12]):
        return None
    return read_value(text[end : end + MAX_ANSWER_CHARS])


def _after_chinese(text: str, start: int, end: int) -> Stated | None:
    if _CONDITION.search(text[max(0, start - 6) : start]):
        return None
    word, after = text[start:end], text[end : end + MAX_ANSWER_CHARS]
    if word == "选":
        if named := _CHINESE_IS_CORRECT.match(after):
            return Stated(named.group(1), True)
        sign = _CHOICE_SIGN.match(after) if _CHOSEN.search(text[max(0, start - 16) : start]) else None
        return read_value(after[sign.end() :]) if sign else None
    if word == "答":
        return read_value(after[1:], whole_sentence=True) if text[:start].rstrip(" \t*#")[-1:] in "\n。" else None
    link = _CHINESE_LINK.match(after)
    assert link is not None  # it may be empty
    said = link.group().strip("*_ \t\n")
    if not said and _HEADING_END.match(after):
        line = text[max(0, start - _WINDOW) : start].rpartition("\n")[2]
        return read_value(after) if _HEADING_START.fullmatch(line) else None
    if refused := _NOT_BUT.match(after):
        return read_value(after[refused.end() :])
    if not said or (link.group("sign") is None and not any(c in said for c in "是为选】]等")):
        return None
    return read_value(after[link.end() :])


_STATEMENTS = {
    "answer": _after_answer,
    "option": _after_option,
    "letter": _after_letter,
    "hashes": _after_hashes,
    "label": _after_label,
    "chinese": _after_chinese,
}


# --- without an announcement ----------------------------------------------------------------------


def _only_value(text: str) -> str | None:
    """The value of a response that is one sentence or less and holds a single one.

    Of "so in total $11" and of an equation ("5 + 6 = 11 apples") what stands behind counts alone. A sentence that holds
    several values says of none that it is the answer.
    """
    sentence = text.strip()
    if len(sentence) > 4 * _WINDOW or _SECOND_SENTENCE.search(sentence) or sentence.endswith(("?", "？")):
        return None
    if _NEGATION.search(sentence) or _CONDITION.search(sentence) or _ANCHOR.search(sentence) or "box" in sentence:
        return None
    if conclusion := _CONCLUSION.search(sentence):
        sentence = sentence[conclusion.end() :]
    if "=" in sentence and not _SEVERAL.search(sentence) and not any(formulas(sentence)):
        sentence = sentence.rpartition("=")[2]
    if _LONE_LETTER.fullmatch(sentence):
        return sentence.rstrip(".")
    starts = [f.start for f in formulas(sentence)] or [n.start() for n in NUMBER.finditer(sentence)]
    if len(starts) != 1:
        return None
    before = sentence[: starts[0]].rstrip("*_`")  # of "there are **28** apples" both marks
    stated = read_value(sentence[len(before) :])
    return stated.text if stated and stated.is_value else None


def _last_formula_or_number(text: str) -> str | None:
    # Of a long response the end is enough.
    text = text[-MAX_ANSWER_CHARS:]
    if formula := last(formulas(text)):
        return formula.inner.strip() or None
    number = last(NUMBER.finditer(text))
    return number.group() if number else None
