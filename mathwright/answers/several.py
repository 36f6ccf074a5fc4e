"""When two answers of several parts are the same: lists, blanks, tuples, sets, named coordinates.

Equal parts are taken away first by looking them up, so that long lists cost time in proportion to their length; what
is left is compared part by part, and beyond `max_comparisons` pairs nothing is decided.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable
from fractions import Fraction

from mathwright.answers.decisions import Decision, Oracle, either, every
from mathwright.answers.nodes import Formula, Interval, Matrix, Named, Node, Sequence
from mathwright.answers.numbers import Quantity

Comparer = Callable[[Node, Node, Oracle], Decision]
ROUNDED_PLACES = 10
_CHOICES = re.compile("[A-H]{2,8}")
_STATEMENTS = re.compile(r"(?:\(\d\)\s*){2,9}")


def sequences(a: Node, b: Node, oracle: Oracle, compare: Comparer) -> Decision:
    """Whether two answers, of which one at least is several, are the same."""
    if not isinstance(a, Sequence) or not isinstance(b, Sequence):
        shaped_a = a if isinstance(a, Sequence) else _shaped(a, b)  # type: ignore[arg-type]
        shaped_b = b if isinstance(b, Sequence) else _shaped(b, a)  # type: ignore[arg-type]
        return sequences(shaped_a, shaped_b, oracle, compare) if shaped_a and shaped_b else False
    (a, doubt_a), (b, doubt_b) = _distinct(a, oracle, compare), _distinct(b, oracle, compare)
    kinds = {a.kind, b.kind}
    if kinds == {"tuple", "set"}:
        return False
    if len(a.items) != len(b.items):
        # Two spellings of one element, {2, \\sqrt{4}}: only a worker knows.
        return None if doubt_a or doubt_b else False
    if (len(kinds) == 1 and kinds <= {"blanks", "array"}) or "tuple" in kinds:
        return every(_part(x, y, oracle, compare) for x, y in zip(a.items, b.items, strict=True))
    return any_order(a.items, b.items, oracle, compare)


def any_order(a: tuple[Node, ...], b: tuple[Node, ...], oracle: Oracle, compare: Comparer) -> Decision:
    """Match each of `a` with one of `b`; sameness being transitive, the first partner found will do."""
    rest_a, rest_b = _without_common(a, b)
    if not rest_a:
        return True
    if not oracle.rel_tolerance and all(_plain(item) is not None for item in (*rest_a, *rest_b)):
        return False
    left, undecided, looked_at = list(rest_b), False, 0
    for item in rest_a:
        decisions: list[Decision] = []
        for index, other in enumerate(left):
            looked_at += 1
            if looked_at > oracle.max_comparisons:
                return None
            decision = _part(item, other, oracle, compare)
            decisions.append(decision)
            if decision:
                del left[index]
                break
        else:
            if None not in decisions:
                return False
            undecided = True
    return None if undecided else True


def _without_common(a: tuple[Node, ...], b: tuple[Node, ...]) -> tuple[list[Node], list[Node]]:
    """What is left when equal parts, one to one, are taken from both."""
    common = Counter(map(_key, a)) & Counter(map(_key, b))
    rests = []
    for items in (a, b):
        spare, rest = Counter(common), []
        for item in items:
            key = _key(item)
            if spare[key]:
                spare[key] -= 1
            else:
                rest.append(item)
        rests.append(rest)
    return rests[0], rests[1]


def _key(node: Node) -> Hashable:
    """The same for two parts only if they are the same answer."""
    plain = _plain(node)
    return node if plain is None else plain


def _plain(node: Node) -> Fraction | None:
    """The value of a number that equals another plain number only if the values do: no unit, sign or rounding."""
    if not isinstance(node, Quantity) or node.unit or node.percent or node.base != 10 or node.places >= ROUNDED_PLACES:
        return None
    return node.value


def _part(x: Node, y: Node, oracle: Oracle, compare: Comparer) -> Decision:
    """Compare two parts; there a set of one element is not its element, as `{1, {2}}` is not `{1, 2}`."""
    sets = [isinstance(part, Sequence) and part.kind == "set" for part in (x, y)]
    return False if sets[0] != sets[1] and not _is_set(x, y) else compare(x, y, oracle)


def _is_set(*nodes: Node) -> bool:
    return all(not isinstance(node, Quantity | Formula) for node in nodes)


def _distinct(sequence: Sequence, oracle: Oracle, compare: Comparer) -> tuple[Sequence, bool]:
    """A set without its repetitions, which say nothing, and whether there may be more of them.

    In a list of answers two equal ones are two.
    """
    if sequence.kind != "set":
        return sequence, False
    items = list({_key(item): item for item in reversed(sequence.items)}.values())[::-1]
    hard = [item for item in items if _plain(item) is None]
    if len(hard) * len(items) > oracle.max_comparisons:
        return Sequence("set", tuple(items)), True
    kept: list[Node] = [item for item in items if _plain(item) is not None]
    doubt = False
    for item in hard:
        decisions = [compare(item, other, oracle.exact) for other in kept]
        doubt = doubt or None in decisions
        if True not in decisions:
            kept.append(item)
    return Sequence("set", tuple(kept)), doubt


def _shaped(other: Node, like: Sequence) -> Sequence | None:
    """What is no sequence, as one to be compared with `like`: a point, a Python list, a column, a single answer."""
    if isinstance(other, Formula) and like.kind != "tuple" and (chosen := run_together(other)):
        return chosen
    if len(like.items) == 1:
        return Sequence(like.kind, (other,))
    if isinstance(other, Interval) and other.ambiguous and len(like.items) == 2:
        # `[-1,1]` is an interval; only as Python prints it, `[-1, 1]`, may it be a list of two.
        if other.left_open:
            return Sequence("tuple", (other.left, other.right))
        return Sequence("array", (other.left, other.right)) if other.printed and like.kind != "tuple" else None
    if isinstance(other, Matrix) and like.kind in ("tuple", "array") and all(len(row) == 1 for row in other.rows):
        return Sequence("tuple", tuple(row[0] for row in other.rows))
    return None


def run_together(formula: Formula) -> Sequence | None:
    """Several choices or statements without a comma between them, ACD or (1)(3), as a list."""
    if _CHOICES.fullmatch(formula.text):
        return Sequence("list", tuple(Formula(letter) for letter in formula.text))
    if _STATEMENTS.fullmatch(formula.text):
        return Sequence("list", tuple(Quantity(Fraction(digit)) for digit in formula.text if digit.isdigit()))
    return None


def statements(formula: Formula) -> Sequence | None:
    """`(1)(3)`, which beside another of its kind is no product, as a list."""
    return run_together(formula) if _STATEMENTS.fullmatch(formula.text) else None


# --- named coordinates ----------------------------------------------------------------------------

_LETTER = re.compile(r"\\?[a-zA-Z](?:_(?:\{[^{}]*\}|\w))?'*|\\[a-zA-Z]+")
_TUPLE_OF_NAMES = re.compile(r"\(([^()]+)\)")


def coordinates(node: Node) -> dict[str, Node] | None:
    """The values by name of `x=3, y=4` or `(x,y)=(3,4)`, each letter named once; None for anything else."""
    if isinstance(node, Named) and (names := _TUPLE_OF_NAMES.fullmatch(node.name)):
        values = _ordered_values(node.value)
        letters = [name.strip() for name in names.group(1).split(",")]
        if values is not None and len(values) == len(letters) == len(set(letters)) > 1:
            return dict(zip(letters, values, strict=True))
        return None
    if not isinstance(node, Sequence) or node.kind not in ("list", "blanks") or len(node.items) < 2:
        return None
    found: dict[str, Node] = {}
    for item in node.items:
        if not isinstance(item, Named) or item.name in found or not _LETTER.fullmatch(item.name):
            return None
        if isinstance(item.value, Interval) and not item.value.ambiguous:
            return None
        found[item.name] = item.value
    return found


def _ordered_values(node: Node) -> tuple[Node, ...] | None:
    if isinstance(node, Interval) and node.ambiguous and node.left_open:
        return node.left, node.right
    if isinstance(node, Sequence) and node.kind == "tuple":
        return node.items
    if isinstance(node, Matrix) and len(node.rows) > 1 and all(len(row) == 1 for row in node.rows):
        return tuple(row[0] for row in node.rows)
    return None


def by_name(a: Node, b: Node, oracle: Oracle, compare: Comparer) -> tuple[Decision] | None:
    """Named values against others of the same names, or against a tuple in the order of the alphabet.

    The decision; None where names do not settle what belongs together.
    """
    named_a, named_b = coordinates(a), coordinates(b)
    if named_a and named_b:
        if named_a.keys() != named_b.keys():
            return None
        return (every(compare(value, named_b[name], oracle) for name, value in named_a.items()),)
    if not (named_a or named_b):
        return None
    named, other = (named_a, b) if named_a else (named_b, a)
    assert named is not None
    orders = [sorted(named, key=_in_alphabet)]
    values = _ordered_values(other)
    if values is None and isinstance(other, Sequence) and other.kind == "list" and not _indexed(named):
        # What has no names stands in the order in which they were asked for, or else in that of the alphabet.
        values = None if any(isinstance(item, Named) for item in other.items) else other.items
        orders.append(list(named))
    if values is None or len(values) != len(named):
        return None
    decisions = []
    for order in orders:
        pairs = zip((named[name] for name in order), values, strict=True)
        decisions.append(every(compare(x, y, oracle) if named_a else compare(y, x, oracle) for x, y in pairs))
    return (either(decisions),)


def _indexed(named: dict[str, Node]) -> bool:
    """Whether all names are one letter with indices, `x_1` and `x_2`: several answers to one question."""
    return len({name.partition("_")[0] for name in named}) == 1


def _in_alphabet(name: str) -> tuple[bool, str]:
    """Latin letters before Greek ones, as in (r, θ)."""
    return name.startswith("\\"), name.casefold()
