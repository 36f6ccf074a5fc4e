"""Which pages rules match: counted a rule, and the rules that match none, which may be a slip."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from mathwright.corpus.rules.index import PrefixIndex
from mathwright.corpus.rules.rules import Rule, literal_host

MANY_HOSTS = 100_000
"""Among more hosts than this, none is looked for that a misspelt one may mean: it would take seconds a rule."""


def warnings_of_rules(urls: Sequence[str], rules: Sequence[Rule]) -> list[str]:
    """A line for each rule that matches no page, with what it may mean."""
    if not rules:
        return []
    index = PrefixIndex(urls, np.zeros(len(urls), dtype=bool))
    return [
        f"no page matches the rule {rule.decision} {rule.glob} by {rule.by}{_nearest(index, rule)}"
        for rule in rules
        if not len(index.rows[index.matching(rule.glob)])
    ]


def _nearest(index: PrefixIndex, rule: Rule) -> str:
    host = literal_host(rule.glob)
    if host is None:
        return ""
    start, stop = index.span(f"{host}/")
    if stop > start:
        return f"; {host} has {counted(stop - start, 'page')}, such as {index.addresses[start]}"
    places = index.children("").start[: MANY_HOSTS + 1].tolist()
    hosts = [index.addresses[place].as_py().partition("/")[0] for place in places]
    close = difflib.get_close_matches(host, hosts, n=1) if len(hosts) <= MANY_HOSTS else []
    return f"; there is no host {host}" + (f": is it {close[0]}?" if close else "")


def rule_rows(
    urls: Sequence[str], rules: Sequence[Rule], collected: np.ndarray, joined: np.ndarray
) -> list[dict[str, Any]]:
    """Each rule with the pages it matches, those of them collected, and those that joined the seed since its beginning.

    collected, joined [N] bool.
    """
    if not rules:
        return []
    index = PrefixIndex(urls, collected)
    joined = joined[index.rows]
    rows: list[dict[str, Any]] = []
    for rule in rules:
        places = index.matching(rule.glob)
        rows.append(
            {
                **{name: getattr(rule, name) for name in ("glob", "decision", "by", "why", "when")},
                "pages": len(index.rows[places]),
                "collected": int(index.collected[places].sum()),
                "joined_seed": int(joined[places].sum()),
            }
        )
    return rows


def counted(num: int, what: str) -> str:
    """`1 page`, `1,024 pages`."""
    return f"{num:,} {what}" + ("" if num == 1 else "s")
