"""The tokens of a formula, and a place among them."""

from __future__ import annotations

import re

from mathwright.answers.functions import UnparsableError

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
TIMES = {"*", r"\cdot", r"\times", r"\ast", r"\bullet"}
DIVIDED = {"/", r"\div"}
_NEEDLESS = {r"\left", r"\right", r"\limits", r"\displaystyle", r"\,", r"\;", r"\:", r"\ ", r"\!", r"\mathrm"}


class Tokens:
    """The tokens of one formula, read from left to right."""

    def __init__(self, text: str) -> None:
        self.tokens = [
            (match.lastgroup or "", match.group())
            for match in _TOKEN.finditer(text)
            if match.lastgroup and match.group() not in _NEEDLESS
        ]
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        index = self.at + ahead
        return self.tokens[index][1] if index < len(self.tokens) else ""

    def kind(self, ahead: int = 0) -> str:
        index = self.at + ahead
        return self.tokens[index][0] if index < len(self.tokens) else "end"

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, token: str) -> None:
        if self.peek() != token:
            raise UnparsableError(f"{token} expected")
        self.at += 1

    def expect_end(self) -> None:
        if self.kind() != "end":
            raise UnparsableError(f"{self.peek()} left over")

    def raw_group(self) -> list[str]:
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

    def subscript(self) -> str:
        """The spelling of an index, `_1` or `_n+1`; empty where there is none."""
        if self.peek() != "_":
            return ""
        self.at += 1
        if self.peek() != "{":
            return "_" + self.take()
        return "_" + "".join(self.raw_group())

    def primes(self) -> str:
        primes = ""
        while self.peek() == "'":
            primes += self.take()
        return primes
