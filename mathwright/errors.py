"""The one error a person sees: what is wrong, where, and what to do about it."""

from __future__ import annotations

from typing import Any


class MathwrightError(Exception):
    """Bad input or environment; the CLI prints it as one line with a `hint:` and exits with status 2.

    Raise it for what the user can mend (a missing file, a malformed line, an unknown recipe field).
    A bug of ours raises an ordinary exception; bad model output is a status, never an exception.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} (hint: {self.hint})"

    def __reduce__(self) -> tuple[Any, ...]:
        """As other processes get it: an exception is otherwise made again of its arguments by place."""
        return _again, (type(self), self.message, self.hint), dict(self.__dict__)


def _again(kind: type[MathwrightError], message: str, hint: str) -> MathwrightError:
    error = kind.__new__(kind, message)
    MathwrightError.__init__(error, message, hint=hint)
    return error


class SharedWorkDoneError(Exception):
    """This process has done its share of a stage, and another one goes on with the rest: the CLI says so and ends."""


class Paused(MathwrightError):  # noqa: N818  # nothing is wrong
    """A run stopped on purpose, to go on when a person has done their part; the CLI exits with status 3."""
