"""Rules that the counts of collected pages propose, where nobody has decided (in the paper people do)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mathwright.corpus.rules.domains import DomainUnit, Share, domain
from mathwright.corpus.rules.index import PrefixIndex, prefix_glob
from mathwright.corpus.rules.rules import AUTOMATIC, Rule
from mathwright.corpus.urls import registered_domain


def propose_rules(
    urls: Sequence[str],
    collected: np.ndarray,
    domains: Sequence[Share],
    *,
    min_share: float,
    min_pages: int,
    note: str,
    unit: DomainUnit = "host",
    when: str = "",
) -> list[Rule]:
    """Accept, in each of the given domains, the shortest path prefixes of which mostly mathematics was collected.

    A prefix is accepted when the lower end of the 95% interval of its collected share is above `min_share`; else its
    children with at least `min_pages` pages are looked at. (In the paper people do this.) `note` goes into `why`.
    """
    names = {row.name for row in domains}
    inside = np.fromiter((domain(url, unit) in names for url in urls), dtype=bool, count=len(urls))
    index = PrefixIndex((url for url, is_inside in zip(urls, inside, strict=True) if is_inside), collected[inside])
    hosts = hosts_of_domains(index, [row.name for row in domains], unit)
    return propose_below(
        index,
        [f"{host}/" for name in hosts for host in hosts[name]],
        min_share=min_share,
        min_pages=min_pages,
        note=note,
        when=when,
    )


def hosts_of_domains(index: PrefixIndex, domains: Sequence[str], unit: DomainUnit) -> dict[str, list[str]]:
    """The hosts of each of the given domains; pages without a host have no prefix to name."""
    if unit == "host":
        return {name: [name] for name in domains if name}
    found: dict[str, list[str]] = {name: [] for name in domains if name}
    for place in index.children("").start:
        host = index.child_name("", int(place)).rstrip("/")
        if (name := registered_domain(host)) in found:
            found[name].append(host)
    return found


def propose_below(
    index: PrefixIndex, prefixes: Sequence[str], *, min_share: float, min_pages: int, note: str, when: str = ""
) -> list[Rule]:
    """The automatic rules of `propose_rules` below some prefixes."""
    rules: list[Rule] = []
    for top in prefixes:
        level = [index.share(top)]
        while level:
            deeper: list[Share] = []
            for prefix in level:
                if prefix.num_pages < min_pages or prefix.num_collected == 0:
                    continue
                low, high = prefix.interval
                if low > min_share:
                    share = f"{prefix.num_collected} of {prefix.num_pages} pages collected ({low:.2f}-{high:.2f})"
                    glob, why = prefix_glob(prefix.name), f"{note}: {share}"
                    rules.append(Rule(glob=glob, decision="accept", by=AUTOMATIC, why=why, when=when))
                else:
                    deeper += _large_children(index, prefix.name, min_pages)
            level = deeper
    return rules


def _large_children(index: PrefixIndex, prefix: str, min_pages: int) -> list[Share]:
    """The children with collected pages and enough pages: a folder can have a million others."""
    children = index.children(prefix)
    sizes = children.stop - children.start
    return [
        Share(
            name=index.child_name(prefix, int(children.start[i])),
            num_pages=int(sizes[i]),
            num_collected=int(children.collected[i]),
        )
        for i in np.flatnonzero((sizes >= min_pages) & (children.collected > 0))
    ]
