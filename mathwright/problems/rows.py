"""Reading JSONL files of problems, packed or not, with errors that name file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from mathwright.errors import MathwrightError
from mathwright.lines import is_text
from mathwright.records import from_json
from mathwright.unpack import DamagedFileError, open_text

R = TypeVar("R")


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers (from 1); empty lines are skipped.

    Raises MathwrightError for a missing file, a line that is not a JSON object, or a file that is no text.
    """
    if not path.is_file():
        raise MathwrightError(f"{path}: no such file", hint="check the path of this problem source")
    number = 0
    try:
        with open_text(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _object(line)
    except _LineError as error:
        raise MathwrightError(
            f"{path}:{number}: {error}", hint="each line is one JSON object; correct or remove this line"
        ) from error
    except (DamagedFileError, UnicodeDecodeError) as error:
        raise MathwrightError(
            f"{path}: cannot be read after line {number}: {error}",
            hint="the file is damaged or not UTF-8; download it again",
        ) from error


class _LineError(ValueError):
    """A line that holds something else than a JSON object."""


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise _LineError(f"not JSON: {error}") from error
    if "\\u" in line and not is_text(json.dumps(value, ensure_ascii=False)):
        raise _LineError("holds half of a surrogate pair (such as \\ud800), which is no text")
    if not isinstance(value, dict):
        raise _LineError(f"not a JSON object but {type(value).__name__}")
    return value


def read_records(path: Path, cls: type[R]) -> Iterator[tuple[int, R]]:
    """Records of one type with their line numbers; raises MathwrightError naming file, line and field."""
    for number, row in read_rows(path):
        try:
            yield number, from_json(cls, row)
        except ValueError as error:
            raise MathwrightError(
                f"{path}:{number}: not a {cls.__name__}: {error}", hint="correct or remove this line"
            ) from error
