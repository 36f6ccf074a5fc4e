"""Which option of a multiple-choice question an answer names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from mathwright.answers.check import check_answer
from mathwright.answers.normalise import MAX_ANSWER_CHARS

OPTION_TIMEOUT_S = 1.0
"""An option that cannot be compared with the answer in this time is not the one it names."""

_WRAPPED = re.compile(r"\\(?:text(?:bf|rm|it)?|mathrm|mathbf|mbox|boxed|textcircled)\s*\{([^{}]*)\}")
_DELIMITERS = re.compile(r"\\[()\[\]]|[$*`~]|\\(?:left|right|,|;|!|quad)(?![a-zA-Z])")
_BEFORE, _BEHIND = " \t\r\n\u00a0\"'“”", " \t\r\n\u00a0\"'“”。.,，"
_LETTER = re.compile(
    r"(?:(?:the\s++)?+(?:correct\s++)?+(?:option|choice|answer)\s*+(?:is(?![a-z]))?+\s*+:?+"
    r"|(?:正确)?+(?:选项|答案)\s*+[是为]?+\s*+[:：]?+|故?+选)?+\s*+"
    # Either brackets or something that ends the letter: of "A triangle" the first word is no option.
    r"(?:[(（\[]\s*+([A-Za-z])\s*+[)）\]]|([A-Za-z])(?=\s*+(?:\Z|[).:：、．）]\s|[)）:：、．]|\.(?!\d)|选项|项)))"
    r"\s*+(?:[).:：、．）]|选项|项)?+\s*+(.*+)",
    re.IGNORECASE | re.DOTALL,
)
_LABEL = re.compile(r"\s*+(?:[(（]\s*+([A-Za-z])\s*+[)）]|([A-Za-z])\s*+[).:：、．])\s*+")
_SPACED = re.compile(r"([A-Z])\s++(\S.*+)", re.DOTALL)
_OTHER_LETTERS = re.compile(r"(?:\W|(?:and|or)(?![a-zA-Z])|[和或]|[A-Z](?![a-zA-Z\d]))*+")


def choice_letter(answer: str, choices: Sequence[str]) -> str | None:
    """The letter (`A`, `B`, ...) of the option that an extracted answer names, or None.

    A letter names its option, whatever text follows: `B`, `(B)`, `b)`, `B. 12 cm`, `Option B`, 选项B. Where there is no
    letter, it is the one option whose text is the same answer (`check_answer`); none, or several, name nothing, nor do
    several letters. `choices` are the texts of the options in order; a label of their own (`B)12`, `(B) 12`) is left
    out. Ambiguous is a lone small letter, which may be a variable: the text of an option counts first.
    """
    text = _bare(answer) if len(answer) <= MAX_ANSWER_CHARS else ""
    if not text:
        return None
    letters = [chr(ord("A") + index) for index in range(len(choices))]
    options = [_without_label(choice, letter) for choice, letter in zip(choices, letters, strict=True)]
    match = _LETTER.fullmatch(text)
    named = next(letter for letter in match.groups()[:2] if letter) if match else ""
    if match and named.upper() in letters and not (len(text) == 1 and named.islower()):
        rest = _bare(match.group(3))
        is_own_text = rest == _bare(options[letters.index(named.upper())])
        others = _OTHER_LETTERS.fullmatch(rest) and any(c in ascii_uppercase for c in rest)
        return None if others and not is_own_text else named.upper()
    spaced = _SPACED.fullmatch(text)
    if spaced and spaced.group(1) in letters:
        option = options[letters.index(spaced.group(1))]
        if check_answer(spaced.group(2), option, timeout_s=OPTION_TIMEOUT_S).correct:
            return spaced.group(1)
    equal = [
        letter
        for letter, option in zip(letters, options, strict=True)
        if _bare(option) == text or check_answer(answer, option, timeout_s=OPTION_TIMEOUT_S).correct
    ]
    if len(equal) == 1:
        return equal[0]
    return named.upper() if not equal and len(text) == 1 and named.upper() in letters else None


def _bare(text: str) -> str:
    """The text without delimiters, style commands and what ends a sentence."""
    previous = None
    while text != previous:
        previous = text
        text = _DELIMITERS.sub("", _WRAPPED.sub(r"\1", text)).lstrip(_BEFORE).rstrip(_BEHIND)
    return text


def _without_label(choice: str, letter: str) -> str:
    label = _LABEL.match(choice)
    return choice[label.end() :] if label and (label.group(1) or label.group(2)).upper() == letter else choice
