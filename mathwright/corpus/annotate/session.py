"""A person at work on an iteration of a run: what the annotation page shows and does, without HTTP."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mathwright.corpus.annotate.iteration import Candidate, IterationPages
from mathwright.corpus.rules.file import RulesFile
from mathwright.corpus.rules.index import prefix_glob
from mathwright.corpus.rules.propose import propose_below
from mathwright.corpus.rules.rules import (
    AUTOMATIC,
    Decision,
    Rule,
    check_glob,
    merge_rules,
    now,
    run_rules,
)
from mathwright.errors import MathwrightError
from mathwright.lines import is_text
from mathwright.stats import wilson_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the rules of the file say about the pages."""

    rules: list[Rule]
    by_glob: dict[str, Rule]
    """The first of each glob, which counts."""
    accepted: np.ndarray
    """[N + 1] accepted pages before each place."""
    rejected: np.ndarray
    """[N + 1] rejected pages before each place."""
    joining: np.ndarray
    """[N + 1] accepted pages before each place that were not collected: they join the seed."""
    collected_accepted: int
    collected_rejected: int
    decided: set[str]
    """Mathematical domains with a page that a rule accepts or rejects."""


class Session:
    """Decisions about the pages of an iteration. Not for several threads at once."""

    def __init__(self, run: Path, *, by: str, iteration: int | None = None) -> None:
        """Raises MathwrightError where the run has no finished iteration, or its rules file is wrong."""
        self.run = run
        self.by = check_name(by)
        self.file = RulesFile(run_rules(run))
        self.file.rules()  # a wrong file is said before the reading
        self.pages = IterationPages(run, iteration)
        self.note = f"iteration {self.pages.iteration}"
        self.mathematical = [c for c in self.pages.candidates if c.mathematical]
        self._undo: list[tuple[dict[str, Rule | None], dict[str, Rule | None]]] = []
        self._known: Standing | None = None
        self._mathematical_hosts = {f"{host}/" for c in self.mathematical for host in c.hosts}
        self._propose = functools.lru_cache(maxsize=1024)(self._proposals_for)

    # -- what is shown --

    def domains(
        self, *, show: str = "candidates", query: str = "", offset: int = 0, limit: int = 100
    ) -> dict[str, Any]:
        """The rows of domains, a page of the list at a time. `show`: candidates (the 10% rule), open ones, or all."""
        rows = self.pages.candidates if show == "all" else self.mathematical
        rows = [c for c in rows if query.lower() in c.name]
        if show == "open":
            decided = self.standing().decided
            rows = [c for c in rows if c.name not in decided]
        part = rows[offset : offset + limit]
        return {"total": len(rows), "rows": [self.row(self.pages.node(c)) for c in part]}

    def children(self, node: str, *, offset: int = 0, limit: int = 100) -> dict[str, Any]:
        """The rows below a node, those with most collected pages first, a page of the list at a time."""
        total, names, direct = self.pages.below(node, offset, limit)
        return {"total": total, "rows": [self.row(name) for name in names], "direct": direct}

    def row(self, node: str) -> dict[str, Any]:
        """Counts, interval, histogram and state of a node."""
        ranges = self.pages.ranges(node)
        num_pages = sum(stop - start for start, stop in ranges)
        num_collected = sum(self.pages.index.num_collected(start, stop) for start, stop in ranges)
        low, high = wilson_interval(num_collected, num_pages)
        standing = self.standing()
        rules = {glob: standing.by_glob.get(glob) for glob in self.pages.globs(node)}
        decisions = {rule and rule.decision for rule in rules.values()}
        return {
            "node": node,
            "name": node.removeprefix("domain:"),
            "pages": num_pages,
            "collected": num_collected,
            "share": num_collected / num_pages if num_pages else 0.0,
            "low": low,
            "high": high,
            "accepted": _between(standing.accepted, ranges),
            "rejected": _between(standing.rejected, ranges),
            "joining": _between(standing.joining, ranges),
            "bins": self.pages.histogram(ranges),
            "rules": {glob: rule and asdict(rule) for glob, rule in rules.items()},
            "decision": decisions.pop() if len(decisions) == 1 else None,
            "leaf": not self.pages.has_below(node),
        }

    def detail(self, node: str) -> dict[str, Any]:
        """A node with the rules that concern its pages, and those that would be proposed below it."""
        ranges, known = self.pages.ranges(node), self.standing().by_glob
        concerned = [r for r in known.values() if any(self.pages.overlaps(r.glob, *pair) for pair in ranges)]
        proposed = [
            rule
            for prefix in self.pages.prefixes(node)
            for rule in self._propose(prefix.partition("/")[0] + "/")
            if rule.glob not in known and rule.glob.startswith(prefix_glob(prefix)[:-1])
        ]
        return {
            "row": self.row(node),
            "rules": [{**asdict(rule), **self.pages.count(rule.glob)} for rule in concerned],
            "proposed": [asdict(rule) for rule in proposed[:20]],
            "edges": self.pages.edges.tolist(),
            "cut": self.pages.cut,
        }

    def match(self, glob: str) -> dict[str, Any]:
        """What a glob that is being written matches: counts and examples, or the error."""
        try:
            check_glob(glob, "this rule")
        except MathwrightError as error:
            return {"error": error.message.removeprefix("this rule: "), "hint": error.hint}
        rule = self.standing().by_glob.get(glob)
        return {**self.pages.count(glob), "examples": self.pages.examples(glob), "rule": rule and asdict(rule)}

    def progress(self) -> dict[str, Any]:
        """How far the work is, who works and what can be undone."""
        num_pages = len(self.pages.index)
        standing = self.standing()
        return {
            "run": str(self.run),
            "iteration": self.pages.iteration,
            "by": self.by,
            "domains": len(self.mathematical),
            "decided": len(standing.decided),
            "pages": num_pages,
            "collected": self.pages.index.num_collected(0, num_pages),
            "accepted": standing.collected_accepted,
            "rejected": standing.collected_rejected,
            "rules": len(standing.rules),
            "undo": next(iter(self._undo[-1][1]), None) if self._undo else None,
            "version": str(hash(tuple(standing.rules))),  # text: a browser's numbers have 53 bits
            "file": str(self.file.path),
        }

    # -- what is done --

    def decide(
        self,
        globs: Sequence[str],
        decision: Decision | None,
        seen: Mapping[str, Mapping[str, Any] | None],
    ) -> None:
        """Accept or reject globs, or (None) take their rules back. `seen`: the rules that the person saw there.

        Raises Conflict where somebody else was first, MathwrightError for a wrong glob or one without pages.
        """
        changes: dict[str, Rule | None] = {}
        for glob in globs:
            check_glob(glob, "new rule")
            counts = self.pages.count(glob)
            if decision is None:
                changes[glob] = None
                continue
            if counts["pages"] == 0 and len(globs) == 1:
                raise MathwrightError(f"no page of this run matches {glob}", hint="correct the glob")
            why = f"{self.note}: {counts['collected']} of {counts['pages']} pages collected"
            changes[glob] = Rule(glob=glob, decision=decision, by=self.by, why=why, when=now())
        before = self.file.change(changes, {glob: Rule(**rule) if rule else None for glob, rule in seen.items()})
        self._undo.append((before, changes))

    def undo(self) -> list[str]:
        """Take back the last decision made here; returns its globs, none where there is nothing to take back.

        Raises Conflict where somebody has changed it since; that decision is then left as it is.
        """
        if not self._undo:
            return []
        before, after = self._undo.pop()
        self.file.change(before, after)
        return list(after)

    def _proposals_for(self, host: str) -> list[Rule]:
        """Automatic rules for a host of a mathematical domain, whoever has decided there."""
        return propose_below(
            self.pages.index,
            [host] if host in self._mathematical_hosts else [],
            min_share=self.pages.prefix_share,
            min_pages=self.pages.min_pages,
            note=self.note,
            when=now(),
        )

    def write_proposals(self) -> int:
        """Add the automatic rules to the file, but for hosts where people have decided; returns how many are new."""
        people = [rule for rule in self.file.rules() if rule.by != AUTOMATIC]
        hosts = [f"{host}/" for candidate in self.mathematical for host in candidate.hosts]
        proposals = [rule for host in hosts for rule in self._proposals_for(host)]
        return self.file.add([rule for rule in merge_rules(people, proposals) if rule.by == AUTOMATIC])

    # -- standing --

    def standing(self) -> Standing:
        """What the file says now."""
        rules = self.file.rules()
        if self._known is None or self._known.rules != rules:
            self._known = self._judge(rules)
        return self._known

    def _judge(self, rules: list[Rule]) -> Standing:
        by_glob: dict[str, Rule] = {}
        for rule in rules:
            by_glob.setdefault(rule.glob, rule)
        accepted, rejected = np.zeros((2, len(self.pages.index)), dtype=bool)
        for rule in by_glob.values():
            (accepted if rule.decision == "accept" else rejected)[self.pages.matching(rule.glob)] = True
        accepted &= ~rejected
        collected = self.pages.index.collected
        counts = [_before(accepted), _before(rejected)]
        return Standing(
            rules=rules,
            by_glob=by_glob,
            accepted=counts[0],
            rejected=counts[1],
            joining=_before(accepted & ~collected),
            collected_accepted=int((accepted & collected).sum()),
            collected_rejected=int((rejected & collected).sum()),
            decided={c.name for c in self.mathematical if any(_between(each, self._ranges(c)) for each in counts)},
        )

    def _ranges(self, candidate: Candidate) -> tuple[tuple[int, int], ...]:
        return self.pages.ranges(self.pages.node(candidate))


def _before(mask: np.ndarray) -> np.ndarray:
    """[N + 1] how many are True before each place."""
    return np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])


def _between(before: np.ndarray, ranges: Sequence[tuple[int, int]]) -> int:
    return sum(int(before[stop] - before[start]) for start, stop in ranges)


def check_name(by: str) -> str:
    """The name of a person as rules keep it. Raises MathwrightError for none, or one that stands for no person."""
    name = " ".join(by.split())
    if not name or name == AUTOMATIC or len(name) > 100 or not is_text(name):
        raise MathwrightError(f"{by!r} is no name of a person", hint="say who decides, such as --by Ada")
    return name
