"""What the readers of commands (`tex_commands`) ask of the parser they read from (`tex.Parser`)."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mathwright.answers.functions import Tree
from mathwright.answers.tokens import Tokens


class Grammar(Tokens, ABC):
    """The tokens of a formula, and the rules of the grammar that can follow a command."""

    in_bars: bool
    """Whether a bar was opened, so that the next one closes it."""
    integrals: int
    """Integrals whose differential has not come yet."""
    bound: set[str]
    """Names of the indices of sums and products around."""
    directed: set[Tree]
    """Symbols written as vectors."""

    @abstractmethod
    def whole(self) -> Tree:
        """The formula to its last token."""

    @abstractmethod
    def sum(self) -> Tree:
        """Terms with signs between them."""

    @abstractmethod
    def quotient(self) -> Tree:
        """Products with slashes and division signs between them."""

    @abstractmethod
    def product(self, *, argument: bool = False) -> Tree:
        """Factors side by side; `argument`: those that a function without brackets takes."""

    @abstractmethod
    def script(self) -> Tree:
        """What is raised: a group, a number, a signed one (`x^-1`), a command with its arguments."""

    @abstractmethod
    def group(self) -> Tree:
        """What stands in brackets of any kind."""

    @abstractmethod
    def argument(self) -> Tree:
        """What a function takes: a bracket, or the product after it."""

    @abstractmethod
    def argument_of_command(self) -> Tree:
        """A group, or the one token that TeX takes without braces."""
