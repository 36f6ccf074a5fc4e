"""A rules file that people and the annotation page change in turn, a decision at a time, comments kept.

Every change reads the file again under a lock, so that two who annotate one run never overwrite each other, and
replaces it in one step, so that a kill leaves the old file or the new one.

The text is changed by lines: tomlkit counts the comment above a [[rule]] to the rule before it, so that a rule removed
with it would leave its own comment to the next rule and take that one's, and it reads ten times as slowly as tomllib.
"""

from __future__ import annotations

import fcntl
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from mathwright.corpus.rules.rules import HEADER, Rule, check_glob, format_rule, parse_rules
from mathwright.errors import MathwrightError
from mathwright.files import write_text

_RULE_HEADER = re.compile(r"\s*\[\[\s*rule\s*\]\]\s*(#.*)?")


class Conflict(Exception):  # noqa: N818  # nothing is wrong
    """Somebody else has decided meanwhile; the message says who and what."""


class RulesFile:
    """The rules of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: tuple[tuple[int, int, int], list[Rule]] | None = None

    def rules(self) -> list[Rule]:
        """The rules as they are in the file now; none where there is no file."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return []
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        if self._known is None or self._known[0] != version:
            self._known = version, parse_rules(self._read(), self.path)
        return list(self._known[1])

    def change(self, changes: Mapping[str, Rule | None], seen: Mapping[str, Rule | None]) -> dict[str, Rule | None]:
        """Set the rule of each glob (None removes it), all or nothing; returns the rules that were there before.

        `seen` are the rules of these globs that the decision was made on. Raises Conflict where the file has others,
        MathwrightError for a wrong glob or a file that cannot be changed.
        """
        for glob, rule in changes.items():
            if rule is not None:
                check_glob(glob, "new rule")
        with self._locked():
            text = self._read() if self.path.is_file() else HEADER
            current: dict[str, Rule] = {}
            for rule in parse_rules(text, self.path):
                current.setdefault(rule.glob, rule)
            for glob in changes:
                if current.get(glob) != seen.get(glob):
                    raise Conflict(_say_conflict(glob, current.get(glob)))
            for glob, rule in changes.items():
                text = _with_rule(text, glob, rule, self.path)
            parse_rules(text, self.path)  # never leave a file that the next reader refuses
            write_text(self.path, text)
        return {glob: current.get(glob) for glob in changes}

    def add(self, rules: Sequence[Rule]) -> int:
        """Append the rules whose globs the file does not have yet; returns how many."""
        with self._locked():
            text = self._read() if self.path.is_file() else HEADER
            known = {rule.glob for rule in parse_rules(text, self.path)}
            new = {rule.glob: rule for rule in rules if rule.glob not in known}
            if new:
                write_text(self.path, _ended(text) + "".join("\n" + format_rule(rule) for rule in new.values()))
        return len(new)

    def _read(self) -> str:
        try:
            return self.path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise MathwrightError(f"{self.path}: not UTF-8: {error}", hint="save it as UTF-8") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.path.with_name(self.path.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # freed when the file is closed, by a kill too
            yield


def _say_conflict(glob: str, rule: Rule | None) -> str:
    if rule is None:
        return f"the rule for {glob} has been removed meanwhile"
    at = f" at {rule.when}" if rule.when else ""
    return f"{rule.by} has decided {rule.decision} for {glob}{at} meanwhile"


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else text + "\n"


def _with_rule(text: str, glob: str, rule: Rule | None, path: Path) -> str:
    """The text with the rule in place of the first one of that glob (others of it go), or at the end."""
    lines = text.split("\n")
    places = [place for place in _places(lines, path) if _glob_of(lines, place) == glob]
    for number, (comment, header, end) in reversed(list(enumerate(places))):
        if rule is not None and number == 0:
            lines[header:end] = format_rule(rule).rstrip("\n").split("\n")
        else:  # with the comment above it and the blank lines in front of that
            while comment > 0 and not lines[comment - 1].strip() and (end == len(lines) or not lines[end].strip()):
                comment -= 1
            del lines[comment:end]
    text = "\n".join(lines)
    if rule is not None and not places:
        text = _ended(text) + "\n" + format_rule(rule)
    return text


def _places(lines: Sequence[str], path: Path) -> list[tuple[int, int, int]]:
    """Of each rule: the line of the comment directly above it, of its [[rule]], and that after its last value."""
    headers = [i for i, line in enumerate(lines) if _RULE_HEADER.fullmatch(line)]
    places: list[tuple[int, int, int]] = []
    for header, following in pairwise([*headers, len(lines)]):
        comment = header
        while comment > 0 and lines[comment - 1].lstrip().startswith("#"):
            comment -= 1
        if comment == 0:
            comment = header  # a comment at the top is about the file
        end = following
        while not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#"):
            end -= 1
        places.append((comment, header, end))
    if len(places) != len(parse_rules("\n".join(lines), path)):
        raise MathwrightError(
            f"{path}: its rules are not each below a line [[rule]]",
            hint="write them so; a list rule = [...] is not read",
        )
    return places


def _glob_of(lines: Sequence[str], place: tuple[int, int, int]) -> str | None:
    _, header, end = place
    try:
        return tomllib.loads("\n".join(lines[header:end]) + "\n")["rule"][0].get("glob")
    except tomllib.TOMLDecodeError:  # a [[rule]] inside a text of several lines
        return None
