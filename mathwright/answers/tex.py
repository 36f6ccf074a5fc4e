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
from typing import Any

import sympy

from mathwright.answers import functions
from mathwright.answers.functions import Tree
from mathwright.answers.normalise import SET_CLOSE, SET_OPEN

MAX_DEPTH = 60
"""Brackets, powers and fractions inside each other; deeper ones would exhaust the interpreter's stack."""


class UnparsableError(ValueError):
    """A formula that the parser does not understand."""


_TOKEN = re.compile(
    r"\s+"
    r"|(?P<repeating>\d*\.\d*\\(?:overline|bar|dot)\s*\{\d{1,40}\})"
    r"|(?P<number>\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)"
    r"|(?P<environment>\\(?:begin|end)\s*\{[a-zA-Z]+\*?\})"
    r"|(?P<command>\\(?:[a-zA-Z]+|.))"
    r"|(?P<letter>[a-zA-Z])"
    r"|(?P<other>.)",
    re.DOTALL,
)
_GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Pi",
    "Sigma",
    "Upsilon",
    "Phi",
    "Psi",
    "Omega",
    "ell",
    "hbar",
    "nabla",
]
_LETTER_COMMANDS = {name: name for name in _GREEK} | {f"var{name}": name for name in _GREEK}
_CONSTANTS = {"pi": sympy.pi, "infty": sympy.oo, "imath": sympy.I, "top": sympy.Symbol("T")}
_TIMES = {"*", r"\cdot", r"\times", r"\ast", r"\bullet"}
_DIVIDED = {"/", r"\div"}
_CLOSERS = {"(": ")", "[": "]", "{": "}", SET_OPEN: SET_CLOSE}
_ACCENTS = {r"\vec", r"\hat", r"\mathbf", r"\boldsymbol", r"\widehat", r"\tilde", r"\dot", r"\ddot", r"\overrightarrow"}
_SHAPES = {r"\angle": "angle", r"\triangle": "triangle", r"\overline": "segment", r"\odot": "circle"}
_FUNCTION_LETTERS = set("fgFG")
_MATRICES = {"matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "smallmatrix", "array"}
_NEEDLESS = {r"\left", r"\right", r"\limits", r"\displaystyle", r"\,", r"\;", r"\:", r"\ ", r"\!", r"\mathrm"}


def parse_formula(text: str, *, ordered: bool = False) -> tuple[Tree, bool]:
    """The expression, and whether it holds products of capital letters alone (`AB`), whose order may matter.

    With `ordered` capital letters do not commute. Raises UnparsableError.
    """
    parser = _Parser(text, ordered)
    tree = parser.whole()
    return tree, parser.has_capital_products


class _Parser:
    """One pass over the tokens of one formula; each method reads one rule of the grammar."""

    def __init__(self, text: str, ordered: bool) -> None:
        self._tokens = [
            (match.lastgroup or "", match.group())
            for match in _TOKEN.finditer(text)
            if match.lastgroup and match.group() not in _NEEDLESS
        ]
        self._at = 0
        self._first_factor = self._last_factor = sympy.Integer(1)
        self._depth = 0
        self._bare = False
        self._ordered = ordered
        self._in_bars = False
        self._integrals = 0
        self._bound: set[str] = set()
        self._directed: set[Tree] = set()
        self.has_capital_products = False

    # --- tokens ---

    def peek(self, ahead: int = 0) -> str:
        index = self._at + ahead
        return self._tokens[index][1] if index < len(self._tokens) else ""

    def kind(self, ahead: int = 0) -> str:
        index = self._at + ahead
        return self._tokens[index][0] if index < len(self._tokens) else "end"

    def take(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def expect(self, token: str) -> None:
        if self.peek() != token:
            raise UnparsableError(f"{token} expected")
        self._at += 1

    def expect_end(self) -> None:
        if self.kind() != "end":
            raise UnparsableError(f"{self.peek()} left over")

    # --- sums, products, powers ---

    def whole(self) -> Tree:
        tree = self._over(self.sum())
        self.expect_end()
        return tree

    def _over(self, top: Tree) -> Tree:
        """`a \\over b` and `n \\choose k`, whose top is all that stands before."""
        if self.peek() == r"\over":
            self._at += 1
            return top / self.sum()
        if self.peek() == r"\choose":
            self._at += 1
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
        term = self._quotient()
        return -term if sign < 0 else term

    def _quotient(self) -> Tree:
        value = self._product()
        while True:
            token = self.peek()
            if token in _TIMES:
                self._at += 1
                sign = self._sign()
                last = self._last_factor
                right = self._product()
                value = self._times(value, last, right, token) * sign
            elif token in _DIVIDED:
                self._at += 1
                sign = self._sign()
                value = value / self._product() * sign
            else:
                return value

    def _sign(self) -> int:
        """`2*-3` and `x/(-2)` without the brackets."""
        if self.peek() == "-":
            self._at += 1
            return -1
        return 1

    def _times(self, left: Tree, last: Tree, right: Tree, token: str) -> Tree:
        """A product; of two vectors the sign × makes the cross product, which changes sign with their order."""
        vectors = self._directed & (set(left.atoms(sympy.Symbol)) | set(right.atoms(sympy.Symbol)))
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
        self._directed.add(product)
        self._last_factor = product
        return (left / last) * (right / first) * product * (-1 if turned else 1)

    def _capital(self, tree: Tree) -> bool:
        """A capital letter without index: what has one counts among others (`R_1R_2`), and is a number."""
        return isinstance(tree, sympy.Symbol) and str(tree)[0].isupper() and str(tree)[1:2] in ("", "^", "×", "'")

    def _product(self, *, argument: bool = False) -> Tree:
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
            if self._integrals and token == "d" and self.kind(1) in ("letter", "command"):
                return False
            return not (argument and token == "e" and self.peek(1) == "^" and factors[-1].free_symbols)
        if token == "|":
            return not self._in_bars
        if token in ("(", "["):
            return not (argument and factors[-1].free_symbols)
        if kind == "command":
            starts = token not in _TIMES and token not in _DIVIDED and token not in (r"\rfloor", r"\rceil", r"\over")
            return starts and not (argument and functions.function(token[1:]) is not None)
        return token == "{" or (kind == "environment" and token.startswith(r"\begin"))

    def _factor(self) -> Tree:
        """An atom with its factorials, degrees and powers."""
        start = self._at
        value = self._atom()
        while True:
            token = self.peek()
            if token == "!":
                self._at += 1
                double = self.peek() == "!"
                self._at += double
                value = functions.factorial(value, double=double)
            elif token == "°":
                self._at += 1
                value = value * sympy.pi / 180
            elif token == "^":
                self._at += 1
                value = functions.power(value, self._script())
            else:
                self._bare = self._at == start + 1 and self._tokens[start][0] in ("number", "letter", "repeating")
                return value

    def _script(self) -> Tree:
        """What is raised: a group, a number, a signed one (`x^-1`), a command with its arguments."""
        sign = 1
        while self.peek() in ("-", "+"):
            sign = -sign if self.take() == "-" else sign
        if self.peek() == "{":
            return self._group() * sign
        value = self._atom()
        if self.peek() == "^":  # 2^3^2, as programs write towers
            self._at += 1
            value = functions.power(value, self._script())
        return value * sign

    # --- atoms ---

    def _atom(self) -> Tree:
        token, kind = self.peek(), self.kind()
        if kind == "number":
            return self._number()
        if kind == "repeating":
            return _repeating(self.take())
        if kind == "letter":
            return self._letter()
        if kind == "environment":
            return self._matrix()
        if token in ("(", "[", "{"):
            return self._group()
        if token == "|":
            return self._bars()
        if kind == "command":
            return self._command()
        raise UnparsableError(f"{token or 'the end'} where a value should stand")

    def _number(self) -> Tree:
        value = sympy.Rational(*Fraction(self.take().replace(",", "").rstrip(".")).as_integer_ratio())
        if value.is_Integer and self.peek() == r"\frac" and self.peek(1) == "{" and self.kind(2) == "number":
            top, bottom = self.peek(2), self.peek(5)
            if (self.peek(3), self.peek(4), self.peek(6)) == ("}", "{", "}") and top.isdigit() and bottom.isdigit():
                if int(bottom) > int(top) > 0:  # a mixed number
                    self._at += 7
                    return value + sympy.Rational(int(top), int(bottom))
        return value

    def _group(self) -> Tree:
        opening = self.take()
        floor = opening == "[" and self.peek(1) == "]" and self.kind() == "letter"
        in_bars, self._in_bars = self._in_bars, False
        integrals, self._integrals = self._integrals, 0
        value = self.sum()
        value = self._over(value) if opening == "{" else value
        self.expect(_CLOSERS[opening])
        self._in_bars, self._integrals = in_bars, integrals
        if opening == "{" and self.peek() == "_" and isinstance(value, sympy.Symbol):  # {g}_{k}
            return self._symbol(str(value) + self._subscript())
        return sympy.floor(value) if floor else value

    def _bars(self) -> Tree:
        self.expect("|")
        in_bars, self._in_bars = self._in_bars, True
        value = self.sum()
        self.expect("|")
        self._in_bars = in_bars
        return functions.absolute(value)

    def _letter(self) -> Tree:
        name = self.take()
        if name in ("C", "A") and self.peek() == "_" and (chosen := self._chosen(name)) is not None:
            return chosen
        name += self._subscript() + self._primes()
        if name[0] in _FUNCTION_LETTERS and (self.peek() == "(" or self._inverse_of_letter()):
            return self._applied(name)
        if name == "e":
            return sympy.E
        if name == "i" and "i" not in self._bound:
            return sympy.I
        if self.peek() == "(" and self._comma_inside():
            return self._applied(name)
        return self._symbol(name)

    def _symbol(self, name: str) -> Tree:
        commutes = not (self._ordered and name[0].isupper() and name[1:2] in ("", "'"))
        if not commutes and self.peek() == "^" and (self.peek(1) == "T" or self.peek(2) == "T"):
            # A transposed matrix is another one.
            self._at += 2 if self.peek(1) == "T" else 4
            name += "^T"
        return sympy.Symbol(name, commutative=commutes)

    def _subscript(self) -> str:
        """The spelling of an index, `_1` or `_n+1`; empty where there is none."""
        if self.peek() != "_":
            return ""
        self._at += 1
        if self.peek() != "{":
            return "_" + self.take()
        return "_" + "".join(self._raw_group())

    def _raw_group(self) -> list[str]:
        """The tokens between two braces."""
        self.expect("{")
        depth, tokens = 1, []
        while self.kind() != "end":
            token = self.take()
            depth += (token == "{") - (token == "}")
            if depth == 0:
                return tokens
            tokens.append(token)
        raise UnparsableError("a brace is not closed")

    def _primes(self) -> str:
        primes = ""
        while self.peek() == "'":
            primes += self.take()
        return primes

    def _inverse_of_letter(self) -> bool:
        return [self.peek(ahead) for ahead in range(6)] == ["^", "{", "-", "1", "}", "("]

    def _comma_inside(self) -> bool:
        depth = 0
        for ahead in range(len(self._tokens) - self._at):
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
            self._at += 5
            name += "^-1"
        return sympy.Function(name)(*self._arguments())

    def _arguments(self) -> list[Tree]:
        opening = self.take()
        if opening not in _CLOSERS:
            raise UnparsableError("arguments without brackets")
        in_bars, self._in_bars = self._in_bars, False
        values = [self.sum()]
        while self.peek() == ",":
            self._at += 1
            values.append(self.sum())
        self.expect(_CLOSERS[opening])
        self._in_bars = in_bars
        return values

    def _chosen(self, kind: str) -> Tree | None:
        """`C_5^2` and `A_5^2`: combinations and arrangements, as Chinese textbooks write them."""
        start = self._at
        below = self._index("_")
        above = self._index("^") if below is not None else None
        if below is None or above is None or not (below.is_Integer or below.is_Symbol) or (below - above).is_negative:
            self._at = start
            return None
        if kind == "A" and not (below.is_Integer and above.is_Integer):
            self._at = start
            return None
        chosen = functions.binomial(below, above)
        return chosen if kind == "C" else chosen * functions.factorial(above)

    def _index(self, sign: str) -> Tree | None:
        if self.peek() != sign:
            return None
        self._at += 1
        try:
            return self._argument_of_command()
        except UnparsableError:
            return None

    def _argument_of_command(self) -> Tree:
        """A group, or the one token that TeX takes without braces."""
        return self._group() if self.peek() == "{" else self._atom()

    # --- commands ---

    def _command(self) -> Tree:
        token = self.take()
        name = token[1:]
        if name in ("operatorname", "text", "mathop", "mathrm"):
            name = "".join(self._raw_group()).lstrip("\\")
        if reader := _READERS.get(token):
            return reader(self)
        if name in _LETTER_COMMANDS:
            return self._greek(_LETTER_COMMANDS[name])
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if token in _ACCENTS:
            return self._accent(token)
        if token in _SHAPES:
            return self._shape(_SHAPES[token])
        if name == "log":
            return self._log()
        if several := functions.function_of_several(name):
            if self.peek() == "{":  # \max{1, 2}
                return several(*self._arguments())
            return several(*self._arguments())
        if function := functions.function(name):
            return self._call(function)
        raise UnparsableError(token)

    def _greek(self, name: str) -> Tree:
        if name in ("Gamma", "zeta") and self.peek() == "(":
            return getattr(sympy, name.lower())(*self._arguments())
        return self._symbol_of_command(name + self._subscript() + self._primes())

    def _symbol_of_command(self, name: str) -> Tree:
        return sympy.Symbol(name)

    def _call(self, function: Callable[[Tree], Tree]) -> Tree:
        """`\\sin^2 x`, `\\sin^{-1} x`, `\\sin(x)`, `\\sin 2x`."""
        exponent = None
        if self.peek() == "^":
            self._at += 1
            exponent = self._script()
            if exponent == -1 and (inverse := functions.inverse(function)):
                function, exponent = inverse, None
        value = function(self._argument())
        return value if exponent is None else functions.power(value, exponent)

    def _argument(self) -> Tree:
        if self.peek() in ("(", "["):
            return self._group()
        if self.peek() == "{" and self._closes_argument():
            return self._group()
        sign = self._sign()
        value = self._product(argument=True)
        # \sin \pi/3: the sine of π itself would be 0.
        if self.peek() == "/" and self.kind(1) == "number" and value.has(sympy.pi) and not value.free_symbols:
            self._at += 1
            value = value / self._number()
        return value * sign

    def _closes_argument(self) -> bool:
        """Whether a group in braces is the whole argument: `\\log_2{4}`, not `\\sin{x}^2`."""
        depth = 0
        for ahead in range(len(self._tokens) - self._at):
            token = self.peek(ahead)
            depth += (token == "{") - (token == "}")
            if depth == 0:
                return self.peek(ahead + 1) not in ("^", "!", "°") and self.peek(ahead + 1) != "{"
        return False

    def _log(self) -> Tree:
        base, exponent = sympy.Integer(10), None
        for _ in range(2):
            if self.peek() == "_":
                base = self._log_base()
            elif self.peek() == "^":
                self._at += 1
                exponent = self._script()
        value = sympy.log(self._argument(), base)
        return value if exponent is None else functions.power(value, exponent)

    def _log_base(self) -> Tree:
        self._at += 1
        if self.kind() == "number" and len(self.peek()) > 1 and self.peek().isdigit() and not self._starts(1):
            digits = self.peek()  # \log_28 is the logarithm of 8 with base 2
            self._tokens[self._at] = ("number", digits[1:])
            return sympy.Integer(digits[0])
        return self._argument_of_command()

    def _starts(self, ahead: int) -> bool:
        """Whether a value may begin at a token."""
        kind, token = self.kind(ahead), self.peek(ahead)
        return kind in ("letter", "number", "environment") or (
            token in ("(", "[", "{", "|", "^") or (kind == "command" and token not in _TIMES | _DIVIDED)
        )

    def _fraction(self) -> Tree:
        if (derivative := self._derivative()) is not None:
            return derivative
        top = self._argument_of_command()
        bottom = self._argument_of_command()
        return top / bottom

    def _derivative(self) -> Tree | None:
        """`\\frac{d}{dx}` of the term behind it; `\\frac{dy}{dx}` as a name."""
        spelled = [self.peek(ahead) for ahead in range(8)]
        if spelled[:5] == ["{", "d", "}", "{", "d"] and spelled[6] == "}":
            variable = self._at + 5
            self._at += 7
            return sympy.Derivative(self._product(), sympy.Symbol(self._tokens[variable][1]))
        if spelled[:2] == ["{", "d"] and spelled[3:6] == ["}", "{", "d"] and spelled[7] == "}":
            self._at += 8
            return sympy.Symbol(f"d{spelled[2]}/d{spelled[6]}")
        return None

    def _root(self) -> Tree:
        degree = sympy.Integer(2)
        if self.peek() == "[":
            degree = self._group()
        radicand = self._argument_of_command()
        return functions.power(radicand, 1 / degree)

    def _binomial(self) -> Tree:
        top = self._argument_of_command()
        return functions.binomial(top, self._argument_of_command())

    def _rounded(self, function: Any, closer: str) -> Tree:
        in_bars, self._in_bars = self._in_bars, False
        value = self.sum()
        self.expect(closer)
        self._in_bars = in_bars
        return function(value)

    def _accent(self, token: str) -> Tree:
        """A vector, named by its letter; `\\overrightarrow{AB}` is the opposite of `\\overrightarrow{BA}`."""
        letters = self._raw_group() if self.peek() == "{" else [self.take()]
        if len(letters) == 2 and all(letter.isupper() for letter in letters) and token != r"\hat":
            symbol = sympy.Symbol("vec " + "".join(sorted(letters)))
            self._directed.add(symbol)
            return symbol if letters == sorted(letters) else -symbol
        name = "".join(letters).lstrip("\\")
        if name in ("i", "imath") or not name.isalnum():
            return sympy.I if name in ("i", "imath") else self._unknown(name)
        symbol = sympy.Symbol(name + self._subscript())
        self._directed.add(symbol)
        return symbol

    def _unknown(self, name: str) -> Tree:
        raise UnparsableError(name)

    def _shape(self, shape: str) -> Tree:
        """What points name in any order (a triangle), from either end (a segment, an angle), or a conjugate."""
        letters = self._raw_group() if self.peek() == "{" else None
        if letters is None:
            letters = []
            while self.kind() == "letter" and self.peek().isupper():
                letters.append(self.take() + self._primes())
            if not letters and self.kind() == "number":
                letters = [self.take()]
        points = "".join(letters)
        if shape == "segment" and not re.fullmatch(r"(?:[A-Z]'*){2}", points):
            inside, _ = parse_formula(points) if self._bound == set() else self._unknown(points)
            return sympy.conjugate(inside)
        if not points or not all(letter[0].isalnum() for letter in letters):
            raise UnparsableError(shape)
        turned = sorted(letters) if shape == "triangle" else min(letters, letters[::-1])
        return sympy.Symbol(f"{shape} {''.join(turned)}")

    # --- matrices, sums, integrals, limits ---

    def _matrix(self) -> Tree:
        name = re.sub(r"\\begin\s*|[{}]", "", self.take())
        if name not in _MATRICES:
            raise UnparsableError(name)
        if name == "array" and self.peek() == "{":
            self._raw_group()
        rows: list[list[Tree]] = [[]]
        while True:
            rows[-1].append(self.sum())
            separator = self.take()
            if separator == "␤":
                if self.peek().startswith(r"\end"):
                    separator = self.take()
                else:
                    rows.append([])
            if separator.startswith(r"\end"):
                break
            if separator not in ("&", "␤"):
                raise UnparsableError(f"{separator} in a matrix")
        if len({len(row) for row in rows}) != 1:
            raise UnparsableError("rows of different lengths")
        matrix = sympy.Matrix(rows)
        return matrix.det() if name in ("vmatrix", "Vmatrix") else matrix

    def _over_index(self, kind: Any) -> Tree:
        """`\\sum_{k=1}^{n}` of the term behind it."""
        self.expect("_")
        self.expect("{")
        name = self.take().lstrip("\\")
        self.expect("=")
        low = self.sum()
        self.expect("}")
        self.expect("^")
        high = self._script()
        was_bound = name in self._bound
        self._bound.add(name)
        term = self._quotient()
        if not was_bound:
            self._bound.discard(name)
        return kind(term, (sympy.Symbol(name), low, high))

    def _integral(self) -> Tree:
        low = high = None
        for _ in range(2):
            if self.peek() == "_":
                self._at += 1
                low = self._argument_of_command()
            elif self.peek() == "^":
                self._at += 1
                high = self._script()
        if low is None or high is None:
            raise UnparsableError("an integral without bounds")
        self._integrals += 1
        body = sympy.Integer(1) if self.peek() == "d" and self.kind(1) == "letter" else self.sum()
        self._integrals -= 1
        self.expect("d")
        variable = self._symbol_of_command(self.take().lstrip("\\"))
        return sympy.Integral(body, (variable, low, high))

    def _limit(self) -> Tree:
        self.expect("_")
        self.expect("{")
        name = self.take().lstrip("\\")
        if self.take() not in (r"\to", r"\rightarrow"):
            raise UnparsableError("a limit of what?")
        target = self.sum()
        direction = "+-"
        if self.peek() == "^":
            self._at += 1
            direction = self.take()
            if direction == "{":
                direction = self.take()
                self.expect("}")
        self.expect("}")
        return sympy.Limit(self._quotient(), sympy.Symbol(name), target, direction)


def _repeating(written: str) -> Tree:
    """`0.1\\overline{6}` as 1/6."""
    whole, fixed, repeated = re.fullmatch(r"(\d*)\.(\d*)\\[a-z]+\s*\{(\d+)\}", written).groups()  # type: ignore[union-attr]
    tail = sympy.Rational(int(repeated), (10 ** len(repeated) - 1) * 10 ** len(fixed))
    return sympy.Rational(int(whole + fixed or "0"), 10 ** len(fixed)) + tail


_READERS: dict[str, Callable[[_Parser], Tree]] = {
    r"\frac": _Parser._fraction,
    r"\dfrac": _Parser._fraction,
    r"\tfrac": _Parser._fraction,
    r"\cfrac": _Parser._fraction,
    r"\sqrt": _Parser._root,
    r"\binom": _Parser._binomial,
    r"\dbinom": _Parser._binomial,
    r"\tbinom": _Parser._binomial,
    r"\lfloor": lambda parser: parser._rounded(sympy.floor, r"\rfloor"),
    r"\lceil": lambda parser: parser._rounded(sympy.ceiling, r"\rceil"),
    r"\sum": lambda parser: parser._over_index(sympy.Sum),
    r"\prod": lambda parser: parser._over_index(sympy.Product),
    r"\int": _Parser._integral,
    r"\lim": _Parser._limit,
}
