"""Reading the fields of a published row: texts, numbers, letters and options, whatever shape they come in."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

LETTERS = "ABCDEFGHIJ"
"""Letters of options, in order."""

Row = Mapping[str, Any]


class LayoutError(ValueError):
    """A row that is not in the layout: a field is missing or holds something else."""


def field(row: Row, *names: str) -> Any:
    """The first field of these names that is there and not null; LayoutError where none is."""
    for name in names:
        if row.get(name) is not None:
            return row[name]
    found = "has nothing in" if any(name in row for name in names) else "lacks"
    raise LayoutError(f"{found} the field {' or '.join(map(repr, names))}")


def text(row: Row, *names: str, strip: bool = True) -> str:
    """The first field of these names, stripped; LayoutError where none is there, or where it is no text."""
    value = field(row, *names)
    if not isinstance(value, str):
        raise LayoutError(f"has no text in the field {' or '.join(map(repr, names))}")
    return value.strip() if strip else value


def items(row: Row, *names: str) -> list[Any]:
    """The first field of these names; LayoutError where none is there, or where it is no list."""
    value = field(row, *names)
    if not isinstance(value, list):
        raise LayoutError(f"has no list in the field {' or '.join(map(repr, names))}")
    return value


def label(row: Row, *names: str) -> str:
    """A text or number that describes or names the row; "" where there is none."""
    return next((str(row[name]).strip() for name in names if isinstance(row.get(name), str | int | float)), "")


def number_text(value: Any, *, keep_point: bool = False) -> str:
    """A JSON number, or a number written as text, as decimal digits and nothing lost: 1.0 is "1", 2e-06 "0.000002".

    `keep_point` leaves a float as Python writes it (1.0 stays "1.0"), where a benchmark's scorer treats a float
    otherwise than an integer. LayoutError for anything but a finite number.
    """
    if isinstance(value, str):
        return value.strip() if keep_point else re.sub(r"(?<=\d)\.0+$", "", value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise LayoutError(f"has {value!r} where a number is expected")
    if isinstance(value, int):
        return str(value)
    if keep_point:
        return repr(value)
    digits = format(Decimal(repr(value)), "f")
    return re.sub(r"\.?0+$", "", digits) if "." in digits else digits


def letters(value: Any) -> str:
    """The letter an answer names, or several in order: "d", "(D)", 3 and ["D"] are "D"; "A C" is "AC".

    What names no letter comes back as it is, in upper case.
    """
    if isinstance(value, list | tuple):
        return letters("".join(map(letters, value)))
    if isinstance(value, int) and not isinstance(value, bool):
        return LETTERS[value] if 0 <= value < len(LETTERS) else str(value)
    named = re.sub(r"[\s(),，、;.]", "", str(value)).upper()
    return "".join(sorted(set(named))) if set(named) <= set(LETTERS) else named


# --- options --------------------------------------------------------------------------------------


def without_letters(options: Sequence[Any]) -> tuple[str, ...]:
    """Texts of a list of options; the letters before them go where every option has its own ("(A)", "A)", "A.").

    A missing text is "None": the word was lost where someone read a table with a program that takes it for an empty
    cell (ten options of MMLU in the files of DeepSeekMath).
    """
    texts = ["None" if _is_missing(option) else str(option).strip() for option in options]
    if len(texts) > len(LETTERS):
        raise LayoutError(f"has {len(texts)} options, more than {len(LETTERS)}")
    marks = [re.compile(rf"\(?{letter}\s*[).:：．、]\s*", re.IGNORECASE) for letter in LETTERS[: len(texts)]]
    if all(mark.match(option) for mark, option in zip(marks, texts, strict=True)):
        return _without_second_letters(mark.sub("", option, 1) for mark, option in zip(marks, texts, strict=True))
    return tuple(texts)


def _is_missing(option: Any) -> bool:
    return option is None or (isinstance(option, float) and math.isnan(option))


def _without_second_letters(options: Iterable[str]) -> tuple[str, ...]:
    """AQuA and MathQA write some letters twice: "A)A)59", "b ) b ) 120 %"."""
    return tuple(
        re.sub(rf"^{letter}\s*[).]\s*(?=\S)", "", option, flags=re.IGNORECASE)
        for letter, option in zip(LETTERS, options, strict=False)
    )


def split_options(line: str, separator: str = r"\s") -> tuple[str, ...]:
    """Options that stand in one string: "A) 1 B) 2", "A. 1 B. 2", or "a ) 1 , b ) 2" (`separator` ","), or a Python
    list written out. LayoutError where fewer than two are found.
    """
    if line.startswith("["):
        try:
            return without_letters(ast.literal_eval(line))
        except (ValueError, SyntaxError, TypeError) as error:
            raise LayoutError(f"has options that are no list: {line!r}") from error
    starts: list[re.Match[str]] = []
    for letter in LETTERS if line.lstrip("( ")[:1].isupper() else LETTERS.lower():
        mark = re.compile(rf"{separator if starts else '^'}\s*\(?{letter}\s*[).．、]\s*")
        # one character back: the space after the last mark may be the one before this
        found = mark.search(line, starts[-1].end() - 1 if starts else 0)
        if not found:
            break
        starts.append(found)
    if len(starts) < 2:
        raise LayoutError(f"has no options that can be told apart: {line!r}")
    ends = [*(mark.start() for mark in starts[1:]), len(line)]
    return _without_second_letters(line[mark.end() : end].strip() for mark, end in zip(starts, ends, strict=True))


def last_boxed(solution: str) -> str | None:
    r"""What stands in the last complete \boxed{...} (or \fbox{...}, or `\boxed 5`) of a text, or None."""
    for match in reversed(list(re.finditer(r"\\f?boxed\s*(?![a-zA-Z])|\\fbox\s*", solution))):
        rest = solution[match.end() :]
        if not rest.startswith("{"):
            word = re.match(r"[^\s${}]+", rest)
            if word:
                return word.group()
            continue
        depth = 0
        for index, character in enumerate(rest):
            escaped = index > 0 and rest[index - 1] == "\\"
            depth += (character == "{") - (character == "}") if not escaped else 0
            if depth == 0:
                return rest[1:index]
    return None
