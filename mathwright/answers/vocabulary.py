"""Words that answers are made of: numbers in words, and different words for one answer."""

from __future__ import annotations

import re

_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: value for value, word in enumerate(_UNITS)} | {word: 10 * (i + 2) for i, word in enumerate(_TENS)}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6}

NOTHING = "∅"
"""The one word for "there is no such number"; it equals the empty set."""

_SAME = {
    NOTHING: (
        "no solution;no solutions;no real solution;no real solutions;no real roots;none;empty set;empty;无解;没有实数解"
        ";无实数解;there is no solution;there are no solutions;there are no real solutions;no such number;空集"
    ),
    "undefined": "dne;does not exist;not defined;undefined;doesn t exist;不存在;limit does not exist",
    "yes": "yes;true;是;对;正确;是的",
    "no": "no;false;否;错;错误;不是;不对",
}
_CANONICAL = {spelling: word for word, spellings in _SAME.items() for spelling in spellings.split(";")}


def number_in_words(text: str) -> int | None:
    """The number that a whole text spells, `twenty-one` or `two hundred and five`, or None."""
    words = re.split(r"[\s-]+", text.lower().strip())
    if not 1 <= len(words) <= 12 or words[0] not in _SMALL:
        return None
    total, section, previous = 0, 0, ""
    for word in words:
        if word in _SMALL:
            after_tens = previous in _TENS and 0 < _SMALL[word] < 10
            if previous in _SMALL and not after_tens:
                return None
            section += _SMALL[word]
        elif word == "hundred" and 0 < section < 100:
            section *= _LARGE[word]
        elif word in _LARGE and section:
            total, section = total + section * _LARGE[word], 0
        elif word != "and" or previous not in _LARGE:
            return None
        previous = word
    return None if previous == "and" else total + section


def canonical(words: str) -> str:
    """One spelling for words that mean the same answer: `DNE` and "does not exist", "true" and "yes"."""
    return _CANONICAL.get(words, words)
