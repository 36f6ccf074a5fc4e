"""Whether a regular expression can take more than linear time, found from the expression itself.

Python's `re` tries the ways in which a text can be cut up over an expression. It takes more than linear time where a
text can be cut up in several ways, and the more the longer it is: exponentially many where a state of the automaton
comes back to itself in two ways on one text, polynomially many where two states p and q, q behind p, each come back to
themselves on one text that also leads from p to q (Weber and Seidl 1991; Weideman et al. 2016). A search that begins
anew at every character is such a p of its own.

Approximations, all on the safe side but the last: looking ahead is taken as possible text; a bounded repeat as up to
three; a possessive repeat or atomic group is left only with a character that it could not go on with.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

_parser: Any = re._parser  # type: ignore[attr-defined]
_ALPHABET = [chr(code) for code in range(128)] + list(
    "éλπ√—–“”‘’（）【】，。：；？、．￥一二三答案是为选和或不\u00a0\u2028"
)
_MANY = 3


@dataclass
class _Automaton:
    """States 0, 1, ...: `moves[state]` are (characters, next), `empty[state]` (characters not allowed next, next).

    `behind[state]`: the characters that may not stand before an entry through it (a negative look behind).
    """

    moves: list[list[tuple[frozenset[str], int]]] = field(default_factory=list)
    empty: list[list[tuple[frozenset[str], int]]] = field(default_factory=list)
    behind: dict[int, frozenset[str]] = field(default_factory=dict)
    conditional: set[int] = field(default_factory=set)
    """States behind an assertion: a way through them may fail at the end of the match."""

    def state(self) -> int:
        self.moves.append([])
        self.empty.append([])
        return len(self.moves) - 1


Use = Literal["search", "match", "fullmatch"]
"""How a pattern is used; finditer, findall, sub and split search."""


def superlinear(pattern: re.Pattern[str], use: Use) -> str | None:
    """Why a pattern, used in this way, can take more than linear time, or None."""
    automaton = _Automaton()
    start = automaton.state()
    tree = _parser.parse(pattern.pattern, pattern.flags)
    end = _add(automaton, list(tree), start, bool(pattern.flags & re.IGNORECASE))
    _keep_one_of_a_kind(automaton)
    edges, final = _without_empty_moves(automaton, start, end, searched=use == "search")
    return _ambiguity(edges, set() if use == "fullmatch" else final)


def _characters(op: str, argument: Any, ignore_case: bool) -> frozenset[str]:
    if op == "LITERAL":
        found = {chr(argument)}
    elif op == "NOT_LITERAL":
        found = set(_ALPHABET) - {chr(argument)}
    elif op == "ANY":
        found = set(_ALPHABET)
    else:
        found = set()
        negated = bool(argument) and str(argument[0][0]) == "NEGATE"
        for kind, value in argument[negated:]:
            if str(kind) == "LITERAL":
                found.add(chr(value))
            elif str(kind) == "RANGE":
                found |= {c for c in _ALPHABET if value[0] <= ord(c) <= value[1]}
            else:
                letter = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}[str(value).rpartition("_")[2]]
                letter = letter.upper() if "_NOT_" in str(value) else letter
                found |= {c for c in _ALPHABET if re.match(rf"\{letter}", c)}
        if ignore_case:
            found |= {c.swapcase() for c in found}
        found = set(_ALPHABET) - found if negated else found
    if ignore_case and op == "LITERAL":
        found |= {c.swapcase() for c in found}
    return frozenset(found)


def _add(automaton: _Automaton, nodes: Iterable[Any], state: int, ignore_case: bool) -> int:
    """Add a sequence behind `state`; the state behind it."""
    for kind, argument in nodes:
        op = str(kind)
        if op in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            after = automaton.state()
            automaton.moves[state].append((_characters(op, argument, ignore_case), after))
        elif op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            after = _repeat(automaton, op, argument, state, ignore_case)
        elif op == "SUBPATTERN":
            after = _add(automaton, argument[3], state, ignore_case)
        elif op == "ATOMIC_GROUP":
            after = _add(automaton, argument, state, ignore_case)
        elif op == "BRANCH":
            after = automaton.state()
            for branch in argument[1]:
                first = automaton.state()
                automaton.empty[state].append((frozenset(), first))
                automaton.empty[_add(automaton, branch, first, ignore_case)].append((frozenset(), after))
        elif op in ("ASSERT", "ASSERT_NOT"):
            direction, body = argument
            after = automaton.state()
            automaton.conditional.add(after)
            automaton.empty[state].append((frozenset(), after))
            if direction < 0:
                if op == "ASSERT_NOT" and len(body) == 1 and str(body[0][0]) in ("IN", "LITERAL", "NOT_LITERAL"):
                    automaton.behind[after] = _characters(str(body[0][0]), body[0][1], ignore_case)
            else:  # a text that leads nowhere
                first = automaton.state()
                automaton.empty[state].append((frozenset(), first))
                _add(automaton, body, first, ignore_case)
        elif op == "AT":
            after = automaton.state()
            automaton.conditional.add(after)
            automaton.empty[state].append((frozenset(), after))
            if str(argument) == "AT_BEGINNING":  # of a line at most
                automaton.behind[after] = frozenset(_ALPHABET) - {"\n"}
            elif str(argument) == "AT_BEGINNING_STRING":
                automaton.behind[after] = frozenset(_ALPHABET)
        else:
            raise NotImplementedError(f"{op} in a pattern on text of models")
        state = after
    return state


def _repeat(automaton: _Automaton, op: str, argument: Any, state: int, ignore_case: bool) -> int:
    low, high, body = argument
    unbounded = high is _parser.MAXREPEAT
    copies = min(_MANY, low if unbounded else high)
    optional_from = min(low, copies)
    refused = frozenset()
    if op == "POSSESSIVE_REPEAT":
        probe = _Automaton()
        _add(probe, body, probe.state(), ignore_case)
        refused = frozenset(c for characters, _ in _first_moves(probe, 0) for c in characters)
    after = automaton.state()
    for index in range(copies):
        if index >= optional_from:
            automaton.empty[state].append((refused, after))
        state = _add(automaton, body, state, ignore_case)
    if unbounded:
        loop = automaton.state()
        automaton.empty[state].append((frozenset(), loop))
        automaton.empty[_add(automaton, body, loop, ignore_case)].append((frozenset(), loop))
        state = loop
        automaton.empty[state].append((refused, after))
    else:
        automaton.empty[state].append((frozenset(), after))
    return after


def _keep_one_of_a_kind(automaton: _Automaton) -> None:
    """Of the characters that no part of the expression tells apart leave one."""
    kinds: dict[tuple[bool, ...], str] = {}
    sets = list({characters for moves in (*automaton.moves, *automaton.empty) for characters, _ in moves})
    sets += list(automaton.behind.values())
    for character in _ALPHABET:
        kinds.setdefault(tuple(character in characters for characters in sets), character)
    kept = frozenset(kinds.values())
    automaton.moves = [[(characters & kept, after) for characters, after in moves] for moves in automaton.moves]
    automaton.empty = [[(characters & kept, after) for characters, after in moves] for moves in automaton.empty]
    automaton.behind = {state: characters & kept for state, characters in automaton.behind.items()}


def _first_moves(automaton: _Automaton, start: int) -> list[tuple[frozenset[str], int]]:
    """The moves on a character that are possible from a state, through empty moves."""
    found: list[tuple[frozenset[str], int]] = []
    seen: set[tuple[int, frozenset[str]]] = set()
    waiting: list[tuple[int, frozenset[str]]] = [(start, frozenset())]
    while waiting:
        state, refused = waiting.pop()
        if (state, refused) in seen:
            continue
        seen.add((state, refused))
        found += [(characters - refused, after) for characters, after in automaton.moves[state]]
        waiting += [(after, refused | extra) for extra, after in automaton.empty[state]]
    return found


Edges = dict[Any, list[tuple[frozenset[str], Any]]]


def _without_empty_moves(automaton: _Automaton, start: int, end: int, *, searched: bool) -> tuple[Edges, set[Any]]:
    edges: Edges = {}
    final: set[Any] = set()
    for state in range(len(automaton.moves)):
        merged: dict[int, frozenset[str]] = {}
        for characters, after in _first_moves(automaton, state):
            if characters:
                merged[after] = merged.get(after, frozenset()) | characters
        edges[state] = [(characters, after) for after, characters in merged.items()]
        reached, waiting = {state}, [state]
        while waiting:
            for _, after in automaton.empty[waiting.pop()]:
                if after not in reached and after not in automaton.conditional:
                    reached.add(after)
                    waiting.append(after)
        if end in reached:
            final.add(state)
    if searched:
        _add_searching(automaton, edges, start)
    return edges, final


def _add_searching(automaton: _Automaton, edges: Edges, start: int) -> None:
    """States "before" in which a search passes over characters, one for each set of entries the last one leaves."""
    closed, waiting, behind = {start}, [start], {}
    behind[start] = automaton.behind.get(start, frozenset())
    while waiting:
        state = waiting.pop()
        for _, after in automaton.empty[state]:
            if after not in closed:
                closed.add(after)
                behind[after] = behind[state] | automaton.behind.get(after, frozenset())
                waiting.append(after)
    entries = [(characters, after, behind[state]) for state in closed for characters, after in automaton.moves[state]]
    kinds: dict[frozenset[int], set[str]] = {}
    for character in _ALPHABET:
        allowed = frozenset(i for i, (_, _, refused) in enumerate(entries) if character not in refused)
        kinds.setdefault(allowed, set()).add(character)
    for allowed in kinds:
        edges["before", allowed] = [(frozenset(found), ("before", other)) for other, found in kinds.items()]
        edges["before", allowed] += [(entries[i][0], entries[i][1]) for i in allowed]


def _ambiguity(edges: Edges, final: set[Any]) -> str | None:
    on_cycle = [state for state in edges if _reaches(edges, state, state)]
    for state in on_cycle:
        if _twice_to_itself(edges, state):
            return f"exponential: two ways round on one text at state {state}"
    for p in on_cycle:
        for q in on_cycle:
            if p != q and _reaches(edges, p, q) and _leads_over(edges, p, q, final):
                return f"polynomial: one text leads from {p} to itself, to {q}, and from there to itself"
    return None


def _reaches(edges: Edges, start: Any, goal: Any) -> bool:
    seen: set[Any] = set()
    waiting = [after for _, after in edges[start]]
    while waiting:
        state = waiting.pop()
        if state == goal:
            return True
        if state not in seen:
            seen.add(state)
            waiting += [after for _, after in edges[state]]
    return False


def _twice_to_itself(edges: Edges, state: Any) -> bool:
    """Whether two different ways lead from `state` back to it on one text."""
    seen: set[tuple[Any, Any, bool]] = {(state, state, False)}
    waiting = deque(seen)
    while waiting:
        a, b, differ = waiting.popleft()
        for i, (chars_a, after_a) in enumerate(edges[a]):
            for j, (chars_b, after_b) in enumerate(edges[b]):
                if not chars_a & chars_b:
                    continue
                following = (after_a, after_b, differ or after_a != after_b or (a == b and i != j))
                if following == (state, state, True):
                    return True
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
    return False


def _leads_over(edges: Edges, p: Any, q: Any, final: set[Any]) -> bool:
    """Whether one text leads from p to p, from p to q and from q to q, and the match cannot end on its way.

    Where it can, nothing behind can fail and make it go back.
    """
    if q in final:
        return False
    seen, waiting = {(p, p, q)}, deque([(p, p, q)])
    while waiting:
        a, b, c = waiting.popleft()
        for chars_a, after_a in edges[a]:
            for chars_b, after_b in edges[b]:
                both = chars_a & chars_b
                if not both:
                    continue
                for chars_c, after_c in edges[c]:
                    if not both & chars_c or after_c in final or (after_b in final and b != p):
                        continue
                    following = (after_a, after_b, after_c)
                    if following == (p, q, q):
                        return True
                    if following not in seen:
                        seen.add(following)
                        waiting.append(following)
    return False
