"""Times of day and dates: 3:45 p.m., 15:45, 下午3点45分; March 14th, 14 March 2024, 2024-03-14, 3月14日."""

from __future__ import annotations

import re

from mathwright.answers.spelled import number_in_words

_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_TIME = re.compile(
    r"(\d{1,2})((?:\s*:\s*\d\d){0,2})\s*(?:([ap])\.?\s*m\.?|(o'?\s*clock)(?:\s*([ap])\.?\s*m\.?)?)?", re.IGNORECASE
)
_CHINESE_TIME = re.compile(
    r"(凌晨|早上|上午|中午|下午|傍晚|晚上)?\s*(\d{1,2})\s*[点时](?:钟|整|(\d{1,2})分?|(半)|(一|三)刻)?"
)
_BEFORE_NOON = ("凌晨", "早上", "上午")
_NAMED = {"noon": ("12:00", "p"), "midnight": ("12:00", "a"), "12 noon": ("12:00", "p"), "12 midnight": ("12:00", "a")}
_MONTHS = "january february march april may june july august september october november december"
_MONTH_NUMBERS = {
    name[:length]: i + 1 for i, name in enumerate(re.findall(r"\w+", _MONTHS)) for length in (3, len(name))
} | {"sept": 9}
_MONTH = rf"({'|'.join(sorted(_MONTH_NUMBERS, key=len, reverse=True))})\.?"
_DAY, _YEAR = r"(\d{1,2})(?:st|nd|rd|th)?", r"(\d{3,4})"
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,?\s+)?"
_MONTH_FIRST = re.compile(rf"{_WEEKDAY}{_MONTH}\s+(?:the\s+)?{_DAY}(?:\s*,?\s+{_YEAR})?", re.IGNORECASE)
_DAY_FIRST = re.compile(rf"{_WEEKDAY}(?:the\s+)?{_DAY}\s+(?:of\s+)?{_MONTH}(?:\s*,?\s+{_YEAR})?", re.IGNORECASE)
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_CHINESE_DATE = re.compile(r"(?:(\d{4})\s*年)?\s*(\d{1,2})\s*月\s*(\d{1,2})\s*[日号]")
_IN_WORDS = re.compile(
    r"(half|(?:a )?quarter|[a-z\d-]+(?: minutes?)?) (past|after|to|before|till) ([a-z\d]+)(?:\s*([ap])\.?\s*m\.?)?"
)
_TIME_SIGNS = re.compile(r"[:点时]|[aApP]\.?\s*[mM]|clock|[nN]oon|[nN]ight|past|after|to |before|till|half|quarter")
_MAX_CHARS = 60
_SHORTEST_DATE = 4


def read_time(text: str) -> tuple[str, str] | None:
    """A time of day as `h:mm` or `h:mm:ss`, and "a" or "p" where the half of the day is said; None for other texts.

    A bare number is none, and a ratio with two digits behind the colon cannot be told from one.
    """
    if len(text) > _MAX_CHARS or not _TIME_SIGNS.search(text):
        return None
    plain = _TEXT.sub(r" \1 ", text).replace("\\,", " ").strip()
    if named := _NAMED.get(plain.lower()):
        return named
    if match := _TIME.fullmatch(plain):
        hour, rest, half, clock, half_behind = match.groups()
        half = (half or half_behind or "").lower()
        if not rest and not half and not clock:
            return None
        if half and not 1 <= int(hour) <= 12 and not rest:
            return None
        rest = re.sub(r"\s", "", rest) or ":00"
        return str(int(hour)) + (rest.removesuffix(":00") if rest.count(":") == 2 else rest), half
    if match := _IN_WORDS.fullmatch(plain.lower()):
        return _time_in_words(*match.groups())
    if match := _CHINESE_TIME.fullmatch(plain):
        part, hour, minutes, half, quarters = match.groups()
        if not part and plain.endswith("时"):
            return None  # 5时 may be five hours
        said = int(minutes or 0) + (30 if half else 0) + ({"一": 15, "三": 45}[quarters] if quarters else 0)
        if int(hour) > 24 or said > 59 or (not part and "点" not in plain):
            return None
        morning = "a" if part in _BEFORE_NOON else "p"
        return f"{int(hour)}:{said:02d}", (morning if part and int(hour) <= 12 else "")
    return None


def _time_in_words(minutes: str, side: str, hour: str, half: str | None) -> tuple[str, str] | None:
    """`half past 3`, `quarter to four`, `10 minutes past 9`."""
    said = {"half": 30, "quarter": 15, "a quarter": 15}.get(minutes) or _count(minutes.split(" ")[0])
    full = _count(hour)
    if not full or not said or not 1 <= full <= 12 or not 0 < said < 60 or (minutes == "half" and side != "past"):
        return None
    if " minute" not in minutes and said not in (15, 30):
        return None  # `5 to 9` is a range or a ratio
    if side in ("to", "before", "till"):
        full, said = full - 1 or 12, 60 - said
    return f"{full}:{said:02d}", half or ""


def _count(word: str) -> int | None:
    value = int(word) if word.isdigit() and len(word) < 3 else number_in_words(word)
    return int(value) if value is not None and value.denominator == 1 else None


def read_date(text: str) -> str | None:
    """A date as `year-month-day`, the year empty where it is not said; None for other texts."""
    if len(text) > _MAX_CHARS or len(text) < _SHORTEST_DATE or "\\frac" in text:
        return None
    plain = " ".join(_TEXT.sub(r"\1", text).split())
    if match := _MONTH_FIRST.fullmatch(plain):
        month, day, year = match.groups()
    elif match := _DAY_FIRST.fullmatch(plain):
        day, month, year = match.groups()
    elif (match := _ISO.fullmatch(plain)) or (match := _CHINESE_DATE.fullmatch(plain)):
        year, month, day = match.groups()
    else:
        return None
    number = _MONTH_NUMBERS.get(month.lower()) or int(month)
    if not 1 <= number <= 12 or not 1 <= int(day) <= 31:
        return None
    return f"{year or ''}-{number}-{int(day)}"
