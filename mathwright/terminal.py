"""What is written to a person's terminal: text of others is shown as it is, never obeyed.

URLs, reasons, names and what models write may hold what a terminal, or rich, takes for orders: `[bold]`, `[/x]`,
escape sequences, marks that turn the direction of writing. `console` reads no markup in strings, and shows control
characters as pictures; our own styles are given as Text, such as `Text.assemble(("error:", "bold red"), message)`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.text import Text

_KEPT = "\t\n"
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in _KEPT} | {0x7F: "\u2421"}
_REPLACED = [
    *range(0x80, 0xA0),  # C1: one of them begins an escape sequence by itself
    0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A),  # turn the direction of writing
    0x2028, 0x2029,  # line ends to some
    *range(0xD800, 0xE000),  # halves of a pair, which no encoding can write
]  # fmt: skip
_VISIBLE = _PICTURES | dict.fromkeys(_REPLACED, "\ufffd")


def visible(text: str) -> str:
    """The text with control characters as pictures (ESC is `\u241b`); line ends and tabs stay.

    Characters that turn the direction of writing, and halves of surrogate pairs, become U+FFFD.
    """
    return text.translate(_VISIBLE)


def stacked(parts: Iterable[RenderableType]) -> RenderableType:
    """Things to show, one below the other."""
    return Group(*parts)


class PlainConsole(Console):
    """A console to which every string is plain text, wherever it stands: in a line, a table, a progress bar."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, **options}, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does it; what is no order of rich's own holds no control characters."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


console = PlainConsole(stderr=True)
"""Progress and logs go to stderr; data goes to stdout."""


def put(line: str) -> None:
    """A line of data on stdout: into files and pipes as it is, on a terminal as `visible` shows it.

    Halves of surrogate pairs, which cannot be written, become escapes such as `\\ud800`.
    """
    if sys.stdout.isatty():
        line = visible(line)
    sys.stdout.write(line.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.flush()
