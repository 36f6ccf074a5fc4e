"""Read a cleaned formula into an expression or matrix of sympy.

A recursive descent over tokens, as mathematicians read: juxtaposition is a product (`a(b+c)`, `(3)(4)`, `2x(x+1)`)
and binds tighter than a slash; `\\sin 2x` takes the product behind it, `\\sin(x)/2` the bracket alone, and a power
behind that bracket belongs to the value; only f, g, F and G are functions where they stand before a bracket. Nothing
is evaluated as text. What is not understood to its last token raises UnparsableError.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

import sympy

from mathwright.answers import functions
from mathwright.answers import tex_commands as commands
from mathwright.answers.functions import Tree, UnparsableError
from mathwright.answers.grammar import Grammar
from mathwright.answers.normalise import SET_CLOSE, SET_OPEN
from mathwright.answers.tokens import DIVIDED, TIMES

MAX_DEPTH = 60
"""Brackets, powers and fractions inside each other; deeper ones would exhaust the interpreter's stack."""


_GREEK = re.findall(
    r"\w+",
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi omega"
    " Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar nabla",
)
_LETTER_COMMANDS = {name: name for name in _GREEK} | {f"var{name}": name for name in _GREEK}
_CONSTANTS = {"pi": sympy.pi, "infty": sympy.oo, "imath": sympy.I, "top": sympy.Symbol("T")}
_CLOSERS = {"(": ")", "[": "]", "{": "}", SET_OPEN: SET_CLOSE}
_ACCENTS = {r"\vec", r"\hat", r"\mathbf", r"\boldsymbol", r"\widehat", r"\tilde", r"\dot", r"\ddot", r"\overrightarrow"}
_SHAPES = {r"\angle": "angle", r"\triangle": "triangle", r"\overline": "segment", r"\odot": "circle"}
_FUNCTION_LETTERS = set("fgFG")


def parse_formula(text: str, *, ordered: bool = False) -> tuple[Tree, bool]:
    """The expression, and whether it holds products of capital letters alone (`AB`), whose order may matter.

    With `ordered` capital letters do not commute. Raises UnparsableError.
    """
    parser = Parser(text, ordered)
    tree = parser.whole()
    return tree, parser.has_capital_products


class Parser(Grammar):
    """One pass over the tokens of one formula; each method reads one rule of the grammar."""

    def __init__(self, text: str, ordered: bool = False) -> None:
        super().__init__(text)
        self._first_factor = self._last_factor = sympy.Integer(1)
        self._depth = 0
        self._bare = False
        self._ordered = ordered
        self.in_bars = False
        self.integrals = 0
        self.bound: set[str] = set()
        self.directed: set[Tree] = set()
        self.has_capital_products = False

    # --- sums, products, powers ---

    def whole(self) -> Tree:
        tree = self._over(self.sum())
        self.expect_end()
        return tree

    def _over(self, top: Tree) -> Tree:
        """`a \\over b` and `n \\choose k`, whose top is all that stands before."""
        if self.peek() == r"\over":
            self.at += 1
            return top / self.sum()
        if self.peek() == r"\choose":
            self.at += 1
            return functions.binomial(top, self.sum())
        return top

    def sum(self) -> Tree:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnparsableError("nested too deeply")
        terms = [self._signed()]
        while self.peek() in ("+", "-"):
            terms.append(self._signed())
        self._depth -= 1
        if len(terms) == 1:
            return terms[0]
        if any(isinstance(term, sympy.MatrixBase) for term in terms):
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            return total
        return sympy.Add(*terms)

    def _signed(self) -> Tree:
        sign = 1
        while self.peek() in ("+", "-"):
            sign = -sign if self.take() == "-" else sign
        term = self.quotient()
        return -term if sign < 0 else term

    def quotient(self) -> Tree:
        value = self.product()
        while True:
            token = self.peek()
            if token in TIMES:
                self.at += 1
                sign = self._sign()
                last = self._last_factor
                right = self.product()
                value = self._times(value, last, right, token) * sign
            elif token in DIVIDED:
                self.at += 1
                sign = self._sign()
                value = value / self.product() * sign
            else:
                return value

    def _sign(self) -> int:
        """`2*-3` and `x/(-2)` without the brackets."""
        if self.peek() == "-":
            self.at += 1
            return -1
        return 1

    def _times(self, left: Tree, last: Tree, right: Tree, token: str) -> Tree:
        """A product; of two vectors the sign × makes the cross product, which changes sign with their order."""
        vectors = self.directed & (set(left.atoms(sympy.Symbol)) | set(right.atoms(sympy.Symbol)))
        capitals = [self._capital(last), self._capital(self._first_factor)]
        if token != r"\times" or not (vectors or all(capitals)):
            return left * right
        first = self._first_factor
        if not all(isinstance(part, sympy.Symbol) for part in (last, first)):
            raise UnparsableError("a cross product of sums")
        names = (str(last), str(first))
        if vectors and names[0] == names[1]:
            return sympy.Integer(0)
        turned = bool(vectors) and names[0] > names[1]
        product = sympy.Symbol("×".join(sorted(names) if vectors else names), commutative=not self._ordered)
        self.directed.add(product)
        self._last_factor = product
        return (left / last) * (right / first) * product * (-1 if turned else 1)

    def _capital(self, tree: Tree) -> bool:
        """A capital letter without index: what has one counts among others (`R_1R_2`), and is a number."""
        return isinstance(tree, sympy.Symbol) and str(tree)[0].isupper() and str(tree)[1:2] in ("", "^", "×", "'")

    def product(self, *, argument: bool = False) -> Tree:
        """Factors side by side; `argument`: those that a function without brackets takes."""
        factors = [self._factor()]
        first = factors[0]
        adjacent = 0
        while self._goes_on(factors, argument=argument):
            before = factors[-1]
            factors.append(self._factor())
            adjacent += self._capital_power(before) and self._capital_power(factors[-1])
        if adjacent and not any(self._is_scalar(factor) for factor in factors):
            self.has_capital_products = True
        self._first_factor, self._last_factor = first, factors[-1]
        value = factors[0]
        for factor in factors[1:]:
            value = value * factor
        return value

    def _capital_power(self, tree: Tree) -> bool:
        return self._capital(tree.base if isinstance(tree, sympy.Pow) else tree)

    def _is_scalar(self, tree: Tree) -> bool:
        """A factor that stands among numbers, not among matrices or points: it is no capital and no plain number."""
        return not (self._capital_power(tree) or tree.is_Rational or isinstance(tree, sympy.Add | sympy.MatrixBase))

    def _goes_on(self, factors: list[Tree], *, argument: bool) -> bool:
        token, kind = self.peek(), self.kind()
        if kind == "number" or kind == "repeating":
            if self._bare:
                raise UnparsableError("a number behind a number or a letter")
            return True
        if kind == "letter":
            if self.integrals and token == "d" and self.kind(1) in ("letter", "command"):
                return False
            return not (argument and token == "e" and self.peek(1) == "^" and factors[-1].free_symbols)
        if token == "|":
            return not self.in_bars
        if token in ("(", "["):
            return not (argument and factors[-1].free_symbols)
        if kind == "command":
            starts = token not in TIMES and token not in DIVIDED and token not in (r"\rfloor", r"\rceil", r"\over")
            return starts and not (argument and functions.function(token[1:]) is not None)
        return token == "{" or (kind == "environment" and token.startswith(r"\begin"))

    def _factor(self) -> Tree:
        """An atom with its factorials, degrees and powers."""
        start = self.at
        value = self.atom()
        while True:
            token = self.peek()
            if token == "!":
                self.at += 1
                double = self.peek() == "!"
                self.at += double
                value = functions.factorial(value, double=double)
            elif token == "°":
                self.at += 1
                value = value * sympy.pi / 180
            elif token == "^":
                self.at += 1
                value = functions.power(value, self.script())
            else:
                self._bare = self.at == start + 1 and self.tokens[start][0] in ("number", "letter", "repeating")
                return value

    def script(self) -> Tree:
        """What is raised: a group, a number, a signed one (`x^-1`), a command with its arguments."""
        sign = 1
        while self.peek() in ("-", "+"):
            sign = -sign if self.take() == "-" else sign
        if self.peek() == "{":
            return self.group() * sign
        value = self.atom()
        if self.peek() == "^":  # 2^3^2, as programs write towers
            self.at += 1
            value = functions.power(value, self.script())
        return value * sign

    # --- atoms ---

    def atom(self) -> Tree:
        token, kind = self.peek(), self.kind()
        if kind == "number":
            return self._number()
        if kind == "repeating":
            return _repeating(self.take())
        if kind == "letter":
            return self._letter()
        if kind == "environment":
            return commands.matrix(self)
        if token in ("(", "[", "{"):
            return self.group()
        if token == "|":
            return self._bars()
        if kind == "command":
            return self._command()
        raise UnparsableError(f"{token or 'the end'} where a value should stand")

    def _number(self) -> Tree:
        value = sympy.Rational(*Fraction(self.take().replace(",", "").rstrip(".")).as_integer_ratio())
        spelled = [self.peek(ahead) for ahead in range(7)]
        top, bottom = spelled[2], spelled[5]
        fraction = [*spelled[:2], spelled[3], spelled[4], spelled[6]] == [r"\frac", "{", "}", "{", "}"]
        if value.is_Integer and fraction and top.isdigit() and bottom.isdigit() and int(bottom) > int(top) > 0:
            self.at += 7  # a mixed number
            return value + sympy.Rational(int(top), int(bottom))
        return value

    def group(self) -> Tree:
        opening = self.take()
        floor = opening == "[" and self.peek(1) == "]" and self.kind() == "letter"
        in_bars, self.in_bars = self.in_bars, False
        integrals, self.integrals = self.integrals, 0
        value = self.sum()
        value = self._over(value) if opening == "{" else value
        self.expect(_CLOSERS[opening])
        self.in_bars, self.integrals = in_bars, integrals
        if opening == "{" and self.peek() == "_" and isinstance(value, sympy.Symbol):  # {g}_{k}
            return self.symbol(str(value) + self.subscript())
        return sympy.floor(value) if floor else value

    def _bars(self) -> Tree:
        self.expect("|")
        in_bars, self.in_bars = self.in_bars, True
        value = self.sum()
        self.expect("|")
        self.in_bars = in_bars
        return functions.absolute(value)

    def _letter(self) -> Tree:
        name = self.take()
        if name in ("C", "A") and self.peek() == "_" and (chosen := commands.chosen(self, name)) is not None:
            return chosen
        name += self.subscript() + self.primes()
        if name[0] in _FUNCTION_LETTERS and (self.peek() == "(" or self._inverse_of_letter()):
            return self._applied(name)
        if name == "e":
            return sympy.E
        if name == "i" and "i" not in self.bound:
            return sympy.I
        if self.peek() == "(" and self._comma_inside():
            return self._applied(name)
        return self.symbol(name)

    def symbol(self, name: str) -> Tree:
        commutes = not (self._ordered and name[0].isupper() and name[1:2] in ("", "'"))
        if not commutes and self.peek() == "^" and (self.peek(1) == "T" or self.peek(2) == "T"):
            # A transposed matrix is another one.
            self.at += 2 if self.peek(1) == "T" else 4
            name += "^T"
        return sympy.Symbol(name, commutative=commutes)

    def _inverse_of_letter(self) -> bool:
        return [self.peek(ahead) for ahead in range(6)] == ["^", "{", "-", "1", "}", "("]

    def _comma_inside(self) -> bool:
        depth = 0
        for ahead in range(len(self.tokens) - self.at):
            token = self.peek(ahead)
            depth += (token in ("(", "[", "{")) - (token in (")", "]", "}"))
            if depth == 0:
                return False
            if depth == 1 and token == ",":
                return True
        return False

    def _applied(self, name: str) -> Tree:
        """`f(x)`: a value that only equals that of the same function at the same place."""
        if self.peek() == "^":
            self.at += 5
            name += "^-1"
        return sympy.Function(name)(*self._arguments())

    def _arguments(self) -> list[Tree]:
        opening = self.take()
        if opening not in _CLOSERS:
            raise UnparsableError("arguments without brackets")
        in_bars, self.in_bars = self.in_bars, False
        values = [self.sum()]
        while self.peek() == ",":
            self.at += 1
            values.append(self.sum())
        self.expect(_CLOSERS[opening])
        self.in_bars = in_bars
        return values

    def argument_of_command(self) -> Tree:
        """A group, or the one token that TeX takes without braces."""
        return self.group() if self.peek() == "{" else self.atom()

    # --- commands ---

    def _command(self) -> Tree:
        token = self.take()
        name = token[1:]
        if name in ("operatorname", "text", "mathop", "mathrm"):
            name = "".join(self.raw_group()).lstrip("\\")
        if reader := commands.READERS.get(token):
            return reader(self)
        if name in _LETTER_COMMANDS:
            return self._greek(_LETTER_COMMANDS[name])
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if token in _ACCENTS:
            return commands.accent(self, token)
        if token in _SHAPES:
            return commands.shape(self, _SHAPES[token])
        if name == "log":
            return commands.log(self)
        if several := functions.function_of_several(name):
            return several(*self._arguments())
        if function := functions.function(name):
            return self.call(function)
        raise UnparsableError(token)

    def _greek(self, name: str) -> Tree:
        if name in ("Gamma", "zeta") and self.peek() == "(":
            return getattr(sympy, name.lower())(*self._arguments())
        return sympy.Symbol(name + self.subscript() + self.primes())

    def call(self, function: Callable[[Tree], Tree]) -> Tree:
        """`\\sin^2 x`, `\\sin^{-1} x`, `\\sin(x)`, `\\sin 2x`."""
        exponent = None
        if self.peek() == "^":
            self.at += 1
            exponent = self.script()
            if exponent == -1 and (inverse := functions.inverse(function)):
                function, exponent = inverse, None
        value = function(self.argument())
        return value if exponent is None else functions.power(value, exponent)

    def argument(self) -> Tree:
        if self.peek() in ("(", "["):
            return self.group()
        if self.peek() == "{" and self._closes_argument():
            return self.group()
        sign = self._sign()
        value = self.product(argument=True)
        # \sin \pi/3: the sine of π itself would be 0.
        if self.peek() == "/" and self.kind(1) == "number" and value.has(sympy.pi) and not value.free_symbols:
            self.at += 1
            value = value / self._number()
        return value * sign

    def _closes_argument(self) -> bool:
        """Whether a group in braces is the whole argument: `\\log_2{4}`, not `\\sin{x}^2`."""
        depth = 0
        for ahead in range(len(self.tokens) - self.at):
            token = self.peek(ahead)
            depth += (token == "{") - (token == "}")
            if depth == 0:
                return self.peek(ahead + 1) not in ("^", "!", "°") and self.peek(ahead + 1) != "{"
        return False

    # --- matrices, sums, integrals, limits ---


def _repeating(written: str) -> Tree:
    """`0.1\\overline{6}` as 1/6."""
    whole, fixed, repeated = re.fullmatch(r"(\d*)\.(\d*)\\[a-z]+\s*\{(\d+)\}", written).groups()  # type: ignore[union-attr]
    tail = sympy.Rational(int(repeated), (10 ** len(repeated) - 1) * 10 ** len(fixed))
    return sympy.Rational(int(whole + fixed or "0"), 10 ** len(fixed)) + tail
