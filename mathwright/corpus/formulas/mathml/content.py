"""Content MathML as TeX: what it means is written in the usual notation. Only where a page gives no presentation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mathwright.corpus.formulas.mathml.leaves import Node, children_of, name_of, text_of
from mathwright.corpus.formulas.mathml.rows import argument, convert, row
from mathwright.corpus.formulas.mathml.scripts import script
from mathwright.corpus.formulas.symbols import FUNCTIONS, join, to_tex, trim

_INFIX = {
    "plus": "+", "times": "", "eq": "=", "neq": r"\neq", "lt": "<", "gt": ">", "leq": r"\leq", "geq": r"\geq",
    "equivalent": r"\equiv", "approx": r"\approx", "implies": r"\implies", "and": r"\wedge", "or": r"\vee",
    "xor": r"\oplus", "in": r"\in", "notin": r"\notin", "subset": r"\subseteq", "prsubset": r"\subset",
    "notsubset": r"\not\subseteq", "union": r"\cup", "intersect": r"\cap", "setdiff": r"\setminus",
    "cartesianproduct": r"\times", "compose": r"\circ", "tendsto": r"\to", "vectorproduct": r"\times",
    "scalarproduct": r"\cdot", "outerproduct": r"\otimes", "rem": r"\bmod", "factorof": "|",
}  # fmt: skip
_PREFIX = {"not": r"\neg ", "partialdiff": r"\partial ", "divergence": r"\nabla\cdot ", "grad": r"\nabla ",
           "curl": r"\nabla\times ", "laplacian": r"\nabla^2 "}  # fmt: skip
_AROUND = {"abs": ("|", "|"), "floor": (r"\lfloor ", r"\rfloor "), "ceiling": (r"\lceil ", r"\rceil "),
           "card": ("|", "|"), "conjugate": (r"\overline{", "}"), "transpose": ("", "^T"), "inverse": ("", "^{-1}"),
           "factorial": ("", "!"), "mean": (r"\langle ", r"\rangle "), "real": (r"\Re ", ""),
           "imaginary": (r"\Im ", ""), "arg": (r"\arg ", ""), "determinant": (r"\det ", "")}  # fmt: skip
_BIG = {"sum": r"\sum", "product": r"\prod", "int": r"\int", "limit": r"\lim", "forall": r"\forall ",
        "exists": r"\exists ", "min": r"\min", "max": r"\max"}  # fmt: skip
_CONSTANTS = {"pi": r"\pi", "infinity": r"\infty", "exponentiale": "e", "imaginaryi": "i", "emptyset": r"\emptyset",
              "true": r"\text{true}", "false": r"\text{false}", "eulergamma": r"\gamma", "notanumber": r"\text{NaN}",
              "integers": r"\mathbb{Z}", "reals": r"\mathbb{R}", "rationals": r"\mathbb{Q}",
              "naturalnumbers": r"\mathbb{N}", "complexes": r"\mathbb{C}", "primes": r"\mathbb{P}"}  # fmt: skip
_QUALIFIERS = frozenset({"bvar", "lowlimit", "uplimit", "condition", "domainofapplication", "degree", "logbase"})
_SUM = re.compile(r"\A-|[+=<>]|(?<!^)(?<![{(,])-")

CONTENT = frozenset({"apply", "bind", "ci", "cn", "csymbol", "cs", "piecewise", "piece", "otherwise", "vector",
                     "matrix", "matrixrow", "set", "list", "interval", "lambda", "reln", *_CONSTANTS})  # fmt: skip
"""Names of elements of content MathML."""


def content_to_tex(node: Node, depth: int) -> str:
    """TeX of an element of content MathML."""
    name = name_of(node)
    children = children_of(node)
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    if name in ("ci", "csymbol", "cs"):
        return row(children, depth) if children else _name(text_of(node))
    if name == "cn":
        return _number(node)
    if name in ("apply", "reln", "bind"):
        return _apply(children, depth) if children else ""
    return _CONTAINERS.get(name, _list)(children, depth) if name != "interval" else _interval(node, depth)


def _name(text: str) -> str:
    if len(text) > 1 and text.isalpha() and text.isascii():
        return "\\" + text if text in FUNCTIONS else f"\\mathrm{{{text}}}"
    return to_tex(text)


def _number(node: Node) -> str:
    """A number, which `<sep/>` may cut in two: mantissa and exponent, numerator and denominator, two coordinates."""
    parts = [to_tex(part) for part in _between_separators(node)]
    kind = node.getattr("type") or ""
    if len(parts) != 2:
        return "".join(parts)
    first, second = parts
    match kind:
        case "rational":
            return f"\\frac{{{first}}}{{{second}}}"
        case "e-notation":
            return f"{first}\\times 10^{{{second}}}"
        case "complex-cartesian" | "complex":
            return f"{first}{'' if second.startswith('-') else '+'}{second}i"
        case "complex-polar":
            return f"{first} e^{{{second}i}}"
        case _:
            return ", ".join(parts)  # glued together they would be another number


def _between_separators(node: Node) -> list[str]:
    pieces = [""]
    for child in node.child_nodes.values():
        if name_of(child) == "sep":
            pieces.append("")
        pieces[-1] += (child.value if child.tag == "#text" else child.text) or ""
    return [number for piece in pieces for number in piece.split()]


def _apply(children: Sequence[Node], depth: int) -> str:
    head, name = children[0], name_of(children[0])
    qualifiers = {name_of(child): child for child in children[1:] if name_of(child) in _QUALIFIERS}
    values = [argument(child, depth) for child in children[1:] if name_of(child) not in _QUALIFIERS]
    if name in _BIG and qualifiers:
        return _big(name, qualifiers, values, depth)
    if name in _OPERATORS:
        return _OPERATORS[name](values, {key: _inner(child, depth) for key, child in qualifiers.items()})
    if name == "minus":
        return (
            "-" + _bracketed(values[0]) if len(values) == 1 else " - ".join([*values[:1], *map(_bracketed, values[1:])])
        )
    if name == "times":
        parts = [_bracketed(value) for value in values]
        tex = ""
        for part in parts:
            tex = f"{tex} \\cdot {part}" if tex[-1:].isdigit() and part[:1].isdigit() else join(tex, part)
        return tex
    if name in _INFIX:
        sums = name in ("plus", "eq", "neq", "lt", "gt", "leq", "geq", "tendsto", "in", "notin")
        return f" {_INFIX[name]} ".join(values if sums else map(_bracketed, values))
    if name in _PREFIX:
        return _PREFIX[name] + "".join(map(_bracketed, values))
    if name in _AROUND:
        left, right = _AROUND[name]
        inner = ", ".join(values)
        return left + (_bracketed(inner) if left == "" and len(inner) > 1 else inner) + right
    function = _name(name) if name not in CONTENT and not head.text else convert(head, depth)
    return f"{function}({', '.join(values)})"


def _inner(node: Node, depth: int) -> str:
    return trim(row(children_of(node), depth))


def _bracketed(tex: str) -> str:
    return f"({tex})" if _SUM.search(re.sub(r"\{[^{}]*\}", "", tex)) else tex


def _big(name: str, qualifiers: dict[str, Node], values: list[str], depth: int) -> str:
    parts = {key: _inner(child, depth) for key, child in qualifiers.items()}
    variable, low, high = (parts.get(key, "") for key in ("bvar", "lowlimit", "uplimit"))
    body = " ".join(values)
    if name == "int":
        return f"\\int{script('_', low)}{script('^', high)} {body} \\, d{variable}"
    if name in ("forall", "exists"):
        return f"{_BIG[name]}{variable}: {body}"
    below = parts.get("condition") or (
        f"{variable} {chr(92) + 'to' if name == 'limit' else '='} {low}" if low else variable
    )
    return f"{_BIG[name]}{script('_', below)}{script('^', high)} {body}"


def _divide(values: list[str], qualifiers: dict[str, str]) -> str:
    return f"\\frac{{{values[0] if values else ''}}}{{{' '.join(values[1:])}}}"


def _power(values: list[str], qualifiers: dict[str, str]) -> str:
    base = _bracketed(values[0]) if values else ""
    base = base if len(base) == 1 or base.startswith(("(", "\\")) else f"{{{base}}}"
    return base + script("^", " ".join(values[1:]))


def _root(values: list[str], qualifiers: dict[str, str]) -> str:
    degree = qualifiers.get("degree", "")
    index = f"[{degree}]" if degree and degree != "2" and "]" not in degree else ""
    return f"\\sqrt{index}{{{' '.join(values)}}}"


def _log(values: list[str], qualifiers: dict[str, str]) -> str:
    base = qualifiers.get("logbase", "")
    return f"\\log{script('_', base)}" + f"({' '.join(values)})"


def _diff(values: list[str], qualifiers: dict[str, str]) -> str:
    return f"\\frac{{d {' '.join(values)}}}{{d {qualifiers.get('bvar', 'x')}}}"


def _selector(values: list[str], qualifiers: dict[str, str]) -> str:
    return f"{{{values[0] if values else ''}}}_{{{', '.join(values[1:])}}}"


def _quotient(values: list[str], qualifiers: dict[str, str]) -> str:
    return f"\\lfloor {' / '.join(values)}\\rfloor "


_OPERATORS: dict[str, Callable[[list[str], dict[str, str]], str]] = {
    "divide": _divide, "power": _power, "root": _root, "log": _log, "diff": _diff, "selector": _selector,
    "quotient": _quotient,
}  # fmt: skip


def _list(children: Sequence[Node], depth: int) -> str:
    return "(" + ", ".join(argument(child, depth) for child in children) + ")"


def _set(children: Sequence[Node], depth: int) -> str:
    parts = [_inner(c, depth) if name_of(c) in _QUALIFIERS else argument(c, depth) for c in children]
    conditional = any(name_of(child) == "condition" for child in children)
    return r"\{" + (" \\mid " if conditional else ", ").join(parts) + r"\}"


def _matrix(children: Sequence[Node], depth: int) -> str:
    rows = [" & ".join(argument(cell, depth) for cell in children_of(line)) for line in children]
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"


def _piecewise(children: Sequence[Node], depth: int) -> str:
    rows = []
    for piece in children:
        parts = [argument(child, depth) for child in children_of(piece)]
        rows.append(parts[0] + r" & \text{otherwise}" if name_of(piece) == "otherwise" and parts else " & ".join(parts))
    return r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"


def _lambda(children: Sequence[Node], depth: int) -> str:
    variables = [_inner(child, depth) for child in children if name_of(child) == "bvar"]
    body = [argument(child, depth) for child in children if name_of(child) not in _QUALIFIERS]
    return f"{', '.join(variables)} \\mapsto {' '.join(body)}"


_CONTAINERS: dict[str, Callable[[Sequence[Node], int], str]] = {
    "set": _set, "list": _list, "vector": _list, "matrix": _matrix, "piecewise": _piecewise, "lambda": _lambda,
}  # fmt: skip


def _interval(node: Node, depth: int) -> str:
    closure = node.getattr("closure") or "closed"
    left = "(" if closure in ("open", "open-closed") else "["
    right = ")" if closure in ("open", "closed-open") else "]"
    return left + ", ".join(argument(child, depth) for child in children_of(node)) + right
