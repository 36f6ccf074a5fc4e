"""Names and things that fill a question template."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Person:
    """A person of a story."""

    name: str
    she: str
    her: str
    """Possessive: her, his."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Noun:
    """A thing that can be counted."""

    one: str
    many: str

    def __str__(self) -> str:
        return self.many

    def count(self, number: int) -> str:
        """`1 pen`, `2 pens`."""
        return f"{number} {self.one if number == 1 else self.many}"


def _people(names: str, she: str, her: str) -> list[Person]:
    return [Person(name, she, her) for name in names.split()]


def _nouns(words: str) -> list[Noun]:
    """Nouns from `pen, box:boxes`: the plural is given where it is not made with an s."""
    pairs = (word.split(":") for word in words.split(","))
    return [Noun(pair[0].strip(), pair[-1].strip() if len(pair) == 2 else pair[0].strip() + "s") for pair in pairs]


PEOPLE = _people(
    "Mia Anna Lena Sara Nora Ida Ella Maya Zoe Ruth Alice Priya Aisha Mei Clara Julia Olga Eva", "she", "her"
)
PEOPLE += _people("Tom Ben Noah Leo Max Omar Ravi Paul Emil Jack Sam Hugo Ivan Wei Carlos David Karl Tim", "he", "his")
SMALL_THINGS = _nouns("marble, sticker, shell, stamp, card, button, coin, pebble, bead, pencil, apple, nut")
WARES = _nouns("book, ticket, notebook, poster, mug, plant, toy, cap, candle, puzzle, brush:brushes, lamp")
CONTAINERS = _nouns("box:boxes, bag, basket, jar, tray, crate")
PRODUCTS = _nouns("bottle, toy car, chair, pen, plate, clock")


class Words:
    """Picks the words of one problem."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def choose(self, *options: T) -> T:
        """One of several phrasings."""
        return options[int(self.rng.random() * len(options))]

    def person(self) -> Person:
        return self._one(PEOPLE)

    def two_people(self) -> tuple[Person, Person]:
        """Two different people."""
        return self._two(PEOPLE)

    def thing(self) -> Noun:
        """Something small that one may have many of."""
        return self._one(SMALL_THINGS)

    def ware(self) -> Noun:
        """Something sold for a few dollars."""
        return self._one(WARES)

    def two_wares(self) -> tuple[Noun, Noun]:
        return self._two(WARES)

    def container(self) -> Noun:
        return self._one(CONTAINERS)

    def product(self) -> Noun:
        """Something a machine makes."""
        return self._one(PRODUCTS)

    def letter(self) -> str:
        """Name of an unknown."""
        return self.choose("x", "y", "n", "a", "k", "t")

    def mover(self, speed: int) -> str:
        """What moves at `speed` kilometres per hour."""
        if speed <= 6:
            return self.choose("A hiker", "A walker")
        if speed <= 20:
            return self.choose("A cyclist", "A boat", "A runner" if speed <= 15 else "A ferry")
        if speed <= 60:
            return self.choose("A bus", "A tram", "A truck")
        if speed <= 120:
            return self.choose("A car", "A train", "A coach")
        if speed <= 300:
            return self.choose("A fast train", "A helicopter")
        return "A plane"

    def _one(self, pool: Sequence[T]) -> T:
        return pool[int(self.rng.random() * len(pool))]

    def _two(self, pool: Sequence[T]) -> tuple[T, T]:
        first = int(self.rng.random() * len(pool))
        second = int(self.rng.random() * (len(pool) - 1))
        return pool[first], pool[second + (second >= first)]


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `11th`."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}" + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
