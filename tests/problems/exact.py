"""Checks a line of a worked solution with exact arithmetic, by rules of its own."""

import ast
import math
import operator
import re
from fractions import Fraction

_BINARY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_COMPARE = {ast.Lt: operator.lt, ast.LtE: operator.le}


def evaluate(expression: str, unknown: Fraction) -> Fraction:
    """Value of an expression of the four operations, powers and gcd; a letter is the unknown, `3x` three times it."""
    spelled = re.sub(r"(\d)\s*([a-z](?![a-z])|\()", r"\1 * \2", expression.replace("^", "**"))
    return _value(ast.parse(spelled.strip(), mode="eval").body, unknown)


def _value(node: ast.expr, unknown: Fraction) -> Fraction:
    if isinstance(node, ast.Constant):
        return Fraction(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return unknown
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, unknown)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _value(node.left, unknown) ** int(_value(node.right, unknown))
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)](_value(node.left, unknown), _value(node.right, unknown))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "gcd":
        return Fraction(math.gcd(*(int(_value(argument, unknown)) for argument in node.args)))
    raise ValueError(ast.dump(node))


def line_holds(line: str, unknown: Fraction) -> bool | None:
    """Whether all sides of a line such as `5x = 20 - 5 = 15` are equal; None where the line states nothing to check."""
    if " or " in line or not re.search(r"[=<]", line):
        return None
    line = line.split(": ")[-1].replace("since ", "")
    verdicts = []
    for claim in re.split(r", (?![^(]*\))", line):
        if "<" in claim:
            low, middle, high = (evaluate(side, unknown) for side in re.split(r"<=?", claim))
            verdicts.append(low <= middle < high)
        elif "=" in claim:
            sides = [evaluate(side, unknown) for side in claim.split("=")]
            verdicts.append(all(side == sides[0] for side in sides))
    return all(verdicts) if verdicts else None
