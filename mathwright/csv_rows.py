"""Rows of CSV as people save it: commas, semicolons or tabs, UTF-8 or UTF-16, packed or not."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from mathwright.errors import MathwrightError
from mathwright.lines import is_text
from mathwright.unpack import open_bytes, packed

SUFFIXES = packed(".csv", ".tsv")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SEPARATORS = ",;\t"
"""Spreadsheets write semicolons where the comma is the decimal mark."""
_QUOTED = re.compile(r'"[^"]*"')
_MAX_FIELD = 1 << 24
"""Characters; a solution may be longer than what the module csv allows by itself."""


def csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str] | str]]:
    """The rows of a file by their line; in place of one that cannot be read, why.

    The first line names the fields, and tells what separates them. Raises DamagedFileError and OSError, and
    MathwrightError where two columns have one name.
    """
    csv.field_size_limit(_MAX_FIELD)
    with open_bytes(path) as file:
        wide = file.peek(2)[:2] in _UTF16
        encoding, errors = ("utf-16", "replace") if wide else ("utf-8-sig", "surrogateescape")
        text = io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")
        header = text.readline()
        separator = "\t" if path.name.endswith(packed(".tsv")) else _separator(header)
        reader = csv.reader(text, delimiter=separator, strict=True)
        fields = next(csv.reader([header], delimiter=separator), [])
        twice = next((name for name in fields if name and fields.count(name) > 1), None)
        if twice is not None:
            raise MathwrightError(f"{path}: two columns are called {twice!r}", hint="rename one of them")
        while True:
            try:
                values = next(reader, None)
            except csv.Error as error:
                yield 1 + reader.line_num, f"no CSV: {error}"
                continue
            if values is None:
                return
            if not values:
                continue
            if len(values) != len(fields):
                yield 1 + reader.line_num, "this line has another number of fields than the first"
            elif not is_text(whole := "".join(values)) or (wide and "\ufffd" in whole):
                yield 1 + reader.line_num, "invalid UTF-16" if wide else "invalid UTF-8"
            else:
                yield 1 + reader.line_num, dict(zip(fields, values, strict=True))


def _separator(header: str) -> str:
    bare = _QUOTED.sub("", header)
    return max(_SEPARATORS, key=bare.count)
