"""§2.1: rules that say which URL path prefixes of a mathematical domain are mathematics.

In the paper people annotate them. Here a rule comes from a person, in a `rules.toml` that can be edited by hand and
shared, or is proposed from the counts; each rule says who decided and why. Uncollected pages under accepted rules join
the seed of the next iteration.
"""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mathwright.corpus.domains import Share, address, prefix_children
from mathwright.errors import MathwrightError

Decision = Literal["accept", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A decision about all pages whose host and path match a glob."""

    glob: str
    """Shell-style pattern over `host/path`, such as `mathoverflow.net/questions/*`."""
    decision: Decision
    by: str
    """Who decided: `automatic`, or a person's name."""
    why: str


def read_rules(path: Path) -> list[Rule]:
    """Read a rules file. Raises MathwrightError naming file and rule for what cannot be a rule."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MathwrightError(f"{path}: no such rules file", hint="check corpus.rules") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MathwrightError(f"{path}: not TOML: {error}", hint="each rule starts with a line [[rule]]") from error
    unknown = set(table) - {"rule"}
    if unknown or not isinstance(table.get("rule", []), list):
        raise MathwrightError(
            f"{path}: unexpected {', '.join(sorted(unknown)) or 'table [rule]'}", hint="each rule starts with [[rule]]"
        )
    return [_read_rule(value, f"{path}: rule {number}") for number, value in enumerate(table.get("rule", []), start=1)]


def _read_rule(value: object, where: str) -> Rule:
    hint = 'a rule has glob, decision ("accept" or "reject"), by and why, all strings'
    if not isinstance(value, dict):
        raise MathwrightError(f"{where} is not a table", hint=hint)
    wrong = set(value) ^ {"glob", "decision", "by", "why"}
    if wrong:
        raise MathwrightError(f"{where}: missing or unknown: {', '.join(sorted(wrong))}", hint=hint)
    if not all(isinstance(v, str) for v in value.values()) or value["decision"] not in ("accept", "reject"):
        raise MathwrightError(f"{where}: a value is wrong: {value}", hint=hint)
    check_glob(value["glob"], where)
    return Rule(glob=value["glob"], decision=value["decision"], by=value["by"], why=value["why"])


def check_glob(glob: str, where: str) -> None:
    """Raise MathwrightError for a glob that could not match the pages it means."""
    hint = "write host/path/* such as mathoverflow.net/questions/*"
    if not glob.strip() or glob != glob.strip():
        raise MathwrightError(f"{where}: glob {glob!r} is empty or has blanks around it", hint=hint)
    if "://" in glob:
        raise MathwrightError(f"{where}: glob {glob!r} has a scheme; globs match host and path", hint=hint)
    if "/" not in glob or glob.startswith("/"):
        raise MathwrightError(f"{where}: glob {glob!r} has no host and path", hint=hint)
    if "[" in re.sub(r"\[!?.[^\]]*\]", "", glob):
        raise MathwrightError(f"{where}: glob {glob!r} has an unclosed [", hint=hint)


def write_rules(path: Path, rules: Sequence[Rule]) -> None:
    """Write rules in the order given, one readable table each."""
    lines = ["# Globs over host/path, without scheme and www. A reject overrules an accept.\n"]
    for rule in rules:
        lines.append("\n[[rule]]\n")
        lines += [f"{name} = {_quote(getattr(rule, name))}\n" for name in ("glob", "decision", "by", "why")]
    path.write_text("".join(lines), encoding="utf-8")


def _quote(text: str) -> str:
    """A TOML basic string."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", text) + '"'


def matching(urls: Sequence[str], rules: Sequence[Rule]) -> np.ndarray:
    """Which pages [N] some rule accepts and none rejects."""
    accepted, rejected = np.zeros(len(urls), dtype=bool), np.zeros(len(urls), dtype=bool)
    pages = [address(url) for url in urls]
    for decision, found in (("accept", accepted), ("reject", rejected)):
        patterns = [fnmatch.translate(rule.glob) for rule in rules if rule.decision == decision]
        if patterns:
            match = re.compile("|".join(patterns)).match
            found[:] = [match(page) is not None for page in pages]
    return accepted & ~rejected


def propose_rules(
    urls: Sequence[str], collected: np.ndarray, domains: Sequence[Share], *, min_share: float, min_pages: int, note: str
) -> list[Rule]:
    """Accept, in each of the given domains, the shortest path prefixes of which mostly mathematics was collected.

    A prefix is accepted when the lower end of the 95% interval of its collected share is above `min_share`; else its
    children with at least `min_pages` pages are looked at. (In the paper people do this.) `note` goes into `why`.
    """
    by_host: dict[str, list[int]] = {}
    for i, url in enumerate(urls):
        by_host.setdefault(address(url).partition("/")[0], []).append(i)
    rules: list[Rule] = []
    for row in domains:
        if not row.name:
            continue  # pages without a host have no prefix to name
        rows = by_host[row.name]
        inside, inside_collected = [urls[i] for i in rows], collected[rows]
        queue = [Share(name=row.name + "/", num_pages=row.num_pages, num_collected=row.num_collected)]
        while queue:
            prefix = queue.pop(0)
            if prefix.num_pages < min_pages or prefix.num_collected == 0:
                continue
            low, high = prefix.interval
            if low > min_share:
                share = f"{prefix.num_collected} of {prefix.num_pages} pages collected ({low:.2f}-{high:.2f})"
                # A glob's own characters in a path would be read as a pattern.
                glob = re.sub(r"([*?[])", r"[\1]", prefix.name) + "*"
                rules.append(Rule(glob=glob, decision="accept", by="automatic", why=f"{note}: {share}"))
            else:
                queue += prefix_children(inside, inside_collected, prefix.name)
    return rules
