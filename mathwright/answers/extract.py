"""Find the final answer in a response."""

from __future__ import annotations

import re

from mathwright.answers.normalise import MAX_ANSWER_CHARS, closing_brace

MAX_BOXES = 64
"""So many boxes or phrases are looked at, from the end; more are an attack or a loop."""

_TOOL_BLOCK = re.compile(r"```(?:python|py|output|text-output)\b.*?(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(\{|[^\s{\\])")
_BETWEEN_BOXES = re.compile(
    r"(?:\s|\$|\\\(|\\\)|\\\[|\\\]|\\quad|\\qquad|[,;、]|\\text\{\s*(?:and|or|,)\s*\}|\b(?:and|or)\b|[和或与]|\\[,; ]"
    # `x = \boxed{1}, y = \boxed{2}` and `\boxed{1} apple and \boxed{2} pears`
    r"|[a-zA-Z](?:_\{?\w+\}?)?\s*=|\b[a-z]+(?=\s*(?:,|and\b|or\b)))*"
)
_HASHES = re.compile(r"^[ \t]*####[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_PHRASE = re.compile(
    r"(?:\b(?:(?:final\s+)?answers?|correct\s+(?:option|choice))\b[^.\n:=$\\]{0,60}?(?:\b(?:is|are)\b(?:\s*:)?|[:=])"
    r"|(?:^|\n)\s*(?:#{1,4}|\*\*)\s*(?:final\s+)?answer\s*(?:\*\*)?\s*\n|<answer>|答案(?:应)?\s*(?:[是为选]\s*[：:]?|[：:])|(?:故|因此|所以|应|则|综上)[,，]?(?:本题|正确)?(?:答案)?选(?:择|项)?\s*[：:]?"
    r"|(?:^|\n|。)\s*答\s*[：:]|(?:^|\n)\s*A:)"
    r"(?:\s|\*\*|__)*(?:(?:therefore|thus|hence|simply|just|indeed|exactly)\b,?\s*)?",
    re.IGNORECASE,
)
_FEW_SHOT = re.compile(r"\bfinal answer is:?\s*([^\n]{1,500}?)\.?\s*I hope it is correct", re.IGNORECASE)
_MATH_SPAN = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<!\\)\$([^$\n]+?)(?<!\\)\$", re.DOTALL)
_SENTENCE_END = re.compile(
    r"\.(?=\s|$)|[。．]|\n|<\||</answer>|,?\s+(?:because|since|as (?:required|desired|claimed|needed))\b"
)
_POLITE = re.compile(r"\s*\.?\s*I hope it is correct.*", re.DOTALL)
_PROSE_WORD = re.compile(r"(?<![\\a-zA-Z{])[a-zA-Z]{3,}(?![a-zA-Z}])")
_CHINESE_VERB = re.compile(r".*([是为能有要需可共还买用了比剩得到])(?=.)")
_LAST_VALUE = re.compile(r"(?:\$[^$]+\$|\\frac\{[^{}]*\}\{[^{}]*\}|-?[¥￥]?\d[\d,.]*(?:/\d+)?)[^\d$\\，,；;]*$")
_CHINESE_NUMERAL = re.compile(r"[负零〇一二两三四五六七八九十百千万亿点分之]+\s*[\u4e00-\u9fff]{0,4}$")
_VERB = re.compile(r"\b(?:is|are|equals|was|be)\b|=")
_NUMBER = re.compile(r"-?[$¥€£]?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?")


def extract_answer(text: str, *, fallback: bool = False) -> str | None:
    """The final answer of a response, or None where it gives none.

    Tried in this order, the last occurrence winning each time: `\\boxed{}` or `\\fbox{}` (several boxes joined by
    commas or "and" are several answers; "The final answer is X. I hope it is correct", the ending of the few-shot
    prompts for MATH, counts where it comes later), a GSM8K `#### 72`, a phrase ("the answer is ...", "**Answer:** ...",
    a heading "Final Answer", `<answer>`, "the correct option is ...", 答案是, 答案为, 故选, 答：). Programs
    and their output (fenced blocks marked python or output) are not searched: an answer stands in the text behind.

    `fallback`: where none of these is there, take the last formula between math delimiters, else the last number.
    Off by default, since it pays a model for mentioning numbers.
    """
    text = _TOOL_BLOCK.sub("\n", text)
    position, boxed = _last_boxes(text)
    found = _few_shot_ending(text, position) or boxed or _last_hashes(text) or _last_phrase(text)
    if not found and fallback:
        found = _last_formula_or_number(text)
    return found or None


def _few_shot_ending(text: str, start: int) -> str | None:
    """The answer in the ending of the few-shot prompts for MATH, where it comes behind the last box."""
    found = None
    for match in _FEW_SHOT.finditer(text, start):
        found = _answer_behind(match.group(1))
    return found


def _last_boxes(text: str) -> tuple[int, str | None]:
    boxes: list[tuple[int, int, str]] = []
    limit, tries = len(text), 0
    # From the end, and only as far as boxes belong together: a long response costs no more than its last sentence.
    while (start := max(text.rfind("\\boxed", 0, limit), text.rfind("\\fbox", 0, limit))) >= 0:
        limit, tries = start, tries + 1
        if tries > MAX_BOXES:
            break
        box = _box_at(text, start)
        if box is None:
            continue
        end, content = box
        if boxes and not _BETWEEN_BOXES.fullmatch(text, end, boxes[-1][0]):
            break
        boxes.append((start, end, content))
    contents: list[str] = []
    for _, _, content in reversed(boxes):
        if content not in contents:
            contents.append(content)
    return (boxes[0][0] if boxes else 0), ", ".join(contents) or None


def _box_at(text: str, start: int) -> tuple[int, str] | None:
    """End and content of the box command at `start`; None where it is not closed or empty."""
    match = _BOX.match(text, start)
    if match is None:
        return None
    if match.group(1) != "{":
        return match.end(), match.group(1)
    end = closing_brace(text[: match.end() + MAX_ANSWER_CHARS], match.end() - 1)
    if end < 0:
        return None
    content = text[match.end() : end].strip()
    return (end + 1, content) if content else None


def _last_hashes(text: str) -> str | None:
    found = None
    for match in _HASHES.finditer(text):
        found = match.group(1)
    return found


def _last_phrase(text: str) -> str | None:
    for match in reversed(list(_PHRASE.finditer(text))[-MAX_BOXES:]):
        if answer := _answer_behind(text[match.end() : match.end() + MAX_ANSWER_CHARS]):
            return answer
    return None


def _answer_behind(rest: str) -> str | None:
    """What follows "the answer is": a formula if it starts with one, else the rest of the sentence."""
    rest = rest.lstrip(" \t\n:*")
    formula = _MATH_SPAN.match(rest)
    sentence_end = _SENTENCE_END.search(rest)
    sentence = rest[: sentence_end.start()] if sentence_end else rest
    if formula and formula.end() >= len(sentence):
        return formula.group(formula.lastindex or 0).strip()
    return _without_prose(_POLITE.sub("", sentence).strip(" *_\t\"'“”,")) or None


def _without_prose(sentence: str) -> str:
    """Of "the volume of $ABC$ is 120" what follows the verb; of other long prose its only formula or number.

    Of a Chinese sentence its last number with what is counted: 小明有5个苹果 gives 5个苹果.
    """
    if (verb := _CHINESE_VERB.match(sentence)) and not _CHINESE_NUMERAL.match(sentence):
        if value := _LAST_VALUE.search(sentence):
            return value.group().replace("$", "")
        return sentence[verb.end() :] if verb.group(1) in "是为" else sentence
    if len(_PROSE_WORD.findall(sentence)) < 2:
        return sentence
    verbs = list(_VERB.finditer(sentence))
    if verbs and len(_PROSE_WORD.findall(sentence, verbs[-1].end())) < 3:
        return sentence[verbs[-1].end() :].strip().strip("$")
    for pattern in (_MATH_SPAN, _NUMBER):
        found = list(pattern.finditer(sentence))
        if found:
            return (found[0].group(found[0].lastindex or 0)) if len(found) == 1 else sentence
    return sentence


def _last_formula_or_number(text: str) -> str | None:
    # Of a long response the end is enough, and unclosed delimiters cost no more than its square.
    text, formula = text[-MAX_ANSWER_CHARS:], None
    for match in _MATH_SPAN.finditer(text):
        formula = match
    number = None
    for match in _NUMBER.finditer(text, formula.end() if formula else 0):
        number = match
    if formula is not None:
        return (formula.group(formula.lastindex or 0)).strip() or None
    return number.group() if number else None
