"""A file of URLs, hosts or globs as the globs of a seed."""

from __future__ import annotations

import re
from pathlib import Path

from mathwright.errors import MathwrightError


def seed_globs(path: str) -> tuple[str, ...]:
    """The globs that a file of lines means; empty lines and those that begin with # say nothing.

    A line with a `*` is a glob already; a host means all its pages; a URL, with or without its scheme, all that begins
    with it. Raises MathwrightError where the file is missing or says nothing, and for a line that is none of these.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise MathwrightError(
            f"--seed-urls {path}: no such file", hint="a text file with a host, URL or glob a line, as mathoverflow.net"
        )
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise MathwrightError(f"{path} is no text in UTF-8: {error.reason}", hint="save it as UTF-8") from error
    globs = [_glob(line.strip(), f"{path}:{n}") for n, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    if not globs:
        raise MathwrightError(f"{path} has no line that names a page", hint="write hosts, URLs or globs, one a line")
    return tuple(dict.fromkeys(globs))


def _glob(line: str, place: str) -> str:
    if "*" in line:
        return line
    address = re.sub(r"^(https?:)?//", "", line)
    host, slash, rest = address.partition("/")
    if " " in line or not re.fullmatch(r"[\w.-]+(:\d+)?", host) or ("." not in host and "localhost" not in host):
        raise MathwrightError(f"{place}: {line!r} is no host, URL or glob", hint="as mathoverflow.net/questions/")
    return f"*//{host}/{rest}*" if slash else f"*//{host}/*"
