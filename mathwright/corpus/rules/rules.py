"""§2.1: rules that say which URL path prefixes of a mathematical domain are mathematics.

In the paper people annotate them. Here a rule comes from a person, in a `rules.toml` that can be edited by hand and
shared, or is proposed from the counts (`propose.py`); each rule says who decided and why. Uncollected pages under
accepted rules join the seed of the next iteration.
"""

from __future__ import annotations

import datetime
import fnmatch
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mathwright.corpus.rules.index import split_glob
from mathwright.corpus.urls import address
from mathwright.errors import MathwrightError
from mathwright.files import write_text
from mathwright.lines import is_text
from mathwright.run import fingerprint

Decision = Literal["accept", "reject"]

AUTOMATIC = "automatic"
"""Who decided, where nobody did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A decision about all pages whose host and path match a glob."""

    glob: str
    """Shell-style pattern over `host/path`, such as `mathoverflow.net/questions/*`."""
    decision: Decision
    by: str
    """Who decided: `automatic`, or a person's name."""
    why: str
    when: str = ""
    """ISO 8601 date, or date and time, of the decision; "" where it is not known."""


def now() -> str:
    """The time in UTC as rules keep it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_rules(path: Path) -> list[Rule]:
    """Read a rules file. Raises MathwrightError naming file and rule for what cannot be a rule."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MathwrightError(f"{path}: no such rules file", hint="check corpus.rules") from error
    except UnicodeDecodeError as error:
        raise MathwrightError(f"{path}: not UTF-8: {error}", hint="save it as UTF-8") from error
    return parse_rules(text, path)


def parse_rules(text: str, path: Path) -> list[Rule]:
    """The rules of a text; `path` is named in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MathwrightError(f"{path}: not TOML: {error}", hint="each rule starts with a line [[rule]]") from error
    unknown = set(table) - {"rule"}
    if unknown or not isinstance(table.get("rule", []), list):
        raise MathwrightError(
            f"{path}: unexpected {', '.join(sorted(unknown)) or 'table [rule]'}", hint="each rule starts with [[rule]]"
        )
    return [_read_rule(value, f"{path}: rule {number}") for number, value in enumerate(table.get("rule", []), start=1)]


def _read_rule(value: object, where: str) -> Rule:
    hint = 'a rule has glob, decision ("accept" or "reject"), by and why, all strings, and may have when'
    if not isinstance(value, dict):
        raise MathwrightError(f"{where} is not a table", hint=hint)
    wrong = (set(value) - {"when"}) ^ {"glob", "decision", "by", "why"}
    if wrong:
        raise MathwrightError(f"{where}: missing or unknown: {', '.join(sorted(wrong))}", hint=hint)
    strings = {name: text for name, text in value.items() if name != "when"}
    if not all(isinstance(text, str) for text in strings.values()) or value["decision"] not in ("accept", "reject"):
        raise MathwrightError(f"{where}: a value is wrong: {value}", hint=hint)
    check_glob(value["glob"], where)
    return Rule(**strings, when=_read_when(value.get("when", ""), where))


def _read_when(value: object, where: str) -> str:
    """TOML's own dates are taken as well as text: people write either."""
    if isinstance(value, datetime.date):
        return value.isoformat().replace("+00:00", "Z")
    try:
        if value != "":
            datetime.datetime.fromisoformat(value)  # type: ignore[arg-type]  # another type is refused below
    except (TypeError, ValueError):
        hint = "write when = 2024-02-29 or 2024-02-29T13:05:00Z, or leave it out"
        raise MathwrightError(f"{where}: when {value!r} is no date", hint=hint) from None
    return str(value)


def check_glob(glob: str, where: str) -> None:
    """Raise MathwrightError for a glob that could not match the pages it means."""
    hint = "write host/path/* such as mathoverflow.net/questions/*"
    if not glob.strip() or glob != glob.strip():
        raise MathwrightError(f"{where}: glob {glob!r} is empty or has blanks around it", hint=hint)
    if not is_text(glob):
        raise MathwrightError(f"{where}: glob {glob!r} holds half of a surrogate pair, which is no text", hint=hint)
    if "://" in glob:
        raise MathwrightError(f"{where}: glob {glob!r} has a scheme; globs match host and path", hint=hint)
    if "/" not in glob or glob.startswith("/"):
        raise MathwrightError(f"{where}: glob {glob!r} has no host and path", hint=hint)
    host = literal_host(glob) or ""
    if host.startswith("www.") or ":" in host or host != host.lower():
        raise MathwrightError(
            f"{where}: glob {glob!r} matches no page: hosts are compared in lower case, without www. and port",
            hint=hint,
        )
    if "[" in re.sub(r"\[!?.[^\]]*\]", "", glob):
        raise MathwrightError(f"{where}: glob {glob!r} has an unclosed [", hint=hint)


HEADER = "# Globs over host/path, without scheme and www. A reject overrules an accept.\n"


def write_rules(path: Path, rules: Sequence[Rule]) -> None:
    """Write rules in the order given, one readable table each; the file is the old one or the whole new one."""
    write_text(path, HEADER + "".join("\n" + format_rule(rule) for rule in rules))


def format_rule(rule: Rule) -> str:
    """The lines of a rule in a rules file."""
    names = ("glob", "decision", "by", "when", "why") if rule.when else ("glob", "decision", "by", "why")
    return "[[rule]]\n" + "".join(f"{name} = {_quote(getattr(rule, name))}\n" for name in names)


def _quote(text: str) -> str:
    """A TOML basic string."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", text) + '"'


def matching(urls: Sequence[str], rules: Sequence[Rule]) -> np.ndarray:
    """Which pages [N] some rule accepts and none rejects."""
    return _matched(urls, rules, "accept") & ~_matched(urls, rules, "reject")


def rejected(urls: Sequence[str], rules: Sequence[Rule]) -> np.ndarray:
    """Which pages [N] some rule rejects."""
    return _matched(urls, rules, "reject")


def _matched(urls: Sequence[str], rules: Sequence[Rule], decision: Decision) -> np.ndarray:
    """Rules of the form `prefix/*` are looked up, however many there are; others are tried by host, so that a page is
    tried against those of its own host only, and those with a pattern for a host."""
    prefixes: set[str] = set()
    by_host: dict[str, list[str]] = {}
    for rule in rules:
        literal, rest = split_glob(rule.glob)
        if rule.decision == decision and rest == "*" and literal.endswith("/"):
            prefixes.add(literal)
        elif rule.decision == decision:
            by_host.setdefault(literal_host(rule.glob) or "", []).append(fnmatch.translate(rule.glob))
    if not (prefixes or by_host):
        return np.zeros(len(urls), dtype=bool)
    everywhere = by_host.pop("", [])
    match = {host: re.compile("|".join([*globs, *everywhere])).match for host, globs in by_host.items()}
    match_any = re.compile("|".join(everywhere) or r"(?!)").match

    def matches(page: str) -> bool:
        end = page.find("/") + 1
        host = page[: end - 1]
        while end:
            if page[:end] in prefixes:
                return True
            end = page.find("/", end) + 1
        return match.get(host, match_any)(page) is not None

    return np.fromiter((matches(address(url)) for url in urls), dtype=bool, count=len(urls))


def literal_host(glob: str) -> str | None:
    """The host a glob names, or None where its host is a pattern."""
    host = glob.partition("/")[0]
    return None if re.search(r"[*?\[]", host) else host


def merge_rules(people: Sequence[Rule], automatic: Iterable[Rule]) -> list[Rule]:
    """The rules of a rules file, then automatic ones for hosts that it does not name; the first rule of a glob counts.

    Who has looked at a host and accepted a part of it does not mean the rest.
    """
    decided = {literal_host(rule.glob) for rule in people} - {None}
    merged: dict[str, Rule] = {}
    for rule in people:
        merged.setdefault(rule.glob, rule)
    for rule in automatic:
        if literal_host(rule.glob) not in decided:
            merged.setdefault(rule.glob, rule)
    return list(merged.values())


def run_rules(run: Path) -> Path:
    """The rules file of a run, which `mathwright corpus annotate` writes.

    It lies outside the folder of the stage, which another recipe sets aside: decisions of people stay in force.
    """
    return run / "rules.toml"


def read_people(run: Path, shared: str = "") -> list[Rule]:
    """The rules of a run's own file, then those of a shared one; the first rule of a glob counts."""
    rules = read_rules(run_rules(run)) if run_rules(run).is_file() else []
    return merge_rules([*rules, *(read_rules(Path(shared)) if shared else [])], ())


def decisions_digest(rules: Iterable[Rule]) -> str:
    """A short hash of what rules decide, whoever decided it and when; "" for no rules."""
    decisions = sorted({rule.glob: rule.decision for rule in rules}.items())
    return fingerprint(decisions) if decisions else ""
