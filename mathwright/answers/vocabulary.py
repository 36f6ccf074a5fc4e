"""Different words for one answer."""

from __future__ import annotations

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
_SAME |= {
    name: f"{name};{shorts}"
    for name, shorts in {
        "monday": "mon",
        "tuesday": "tue;tues",
        "wednesday": "wed;weds",
        "thursday": "thu;thur;thurs",
        "friday": "fri",
        "saturday": "sat",
        "january": "jan",
        "february": "feb",
        "march": "mar",
        "april": "apr",
        "june": "jun",
        "july": "jul",
        "august": "aug",
        "september": "sep;sept",
        "october": "oct",
        "november": "nov",
        "december": "dec",
    }.items()
}
_SAME |= {f"星期{day}": f"星期{day};周{day};礼拜{day}" for day in "一二三四五六日"}
_CANONICAL = {spelling: word for word, spellings in _SAME.items() for spelling in spellings.split(";")}


def words_of(text: str) -> frozenset[str]:
    """The words of a list written as one text."""
    return frozenset(text.split())


# --- words around a number ------------------------------------------------------------------------

RELATING = {"in", "on", "at", "for", "from", "to", "with", "by", "of", "among", "during", "per", "across"}
"""Prepositions that tell more about what is counted or measured, and leave its number alone."""
DETERMINERS = words_of("the a an this that these those his her its their our your my all every each")
CLOSED = words_of(
    # prepositions that compare or bound
    "above after around before below between beyond except over past since than through till toward towards under "
    "until upon versus via within without "
    # conjunctions and adverbs that join, doubt or deny
    "although and as because but either else hence however if neither nor not never no none or otherwise perhaps "
    "possibly probably maybe approximately roughly so then therefore though thus unless when where whereas whether "
    "which while who why yet "
    # verbs that say something about the number
    "am is are was were be been being has have had do does did can cannot could will would shall should may might "
    "must equals equal gives makes means isn't aren't doesn't don't won't "
    # pronouns
    "i it he she we they you there here what that "
    # words that calculate or compare
    "choose cubed divided double doubled factorial half halved inverse least max maximum min minimum minus mod modulo "
    "most multiplied negative permute plus positive power quadrupled raised reciprocal recurring repeating root square "
    "sq cu cubic squared sum times tops tripled twice upward upwards zero infinity"
)
SAYING_NOTHING = {"each", "total", "altogether", "apiece", "overall", "respectively", "exactly", "only"}
ADVERBS = SAYING_NOTHING | {"more", "less", "fewer", "left", "remaining", "extra", "additional", "up", "down", "off"}
"""What may stand directly behind a bare number: `5 more`, `5 each`, `5 in total`."""
PLURALS_WITHOUT_S = words_of(
    "people children men women mice geese teeth oxen dice data media criteria vertices indices matrices axes fish "
    "sheep deer shrimp aircraft offspring species series salmon moose bison cattle police staff kids personnel "
    "grandchildren schoolchildren gentlemen policemen firemen fishermen salesmen businessmen wives knives"
)


def canonical(words: str) -> str:
    """One spelling for words that mean the same answer: `DNE` and "does not exist", "true" and "yes"."""
    return _CANONICAL.get(words, words)
