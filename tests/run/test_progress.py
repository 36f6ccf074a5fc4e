"""How far counted work has come: a line a minute where no bar can be shown, a bar in a terminal."""

import io

import pytest

from mathwright.run import progress
from mathwright.run.progress import counting
from mathwright.run.status import Work
from mathwright.terminal import PlainConsole


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> io.StringIO:
    file = io.StringIO()
    monkeypatch.setattr(progress, "console", PlainConsole(file=file, force_terminal=terminal, width=120))
    return file


def test_a_pipe_gets_a_line_a_minute(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    file = shown(monkeypatch, terminal=False)
    with counting(Work(description="samples", total=100)) as advance:
        for _ in range(4):
            clock.now += 40
            advance(10, note="gsm8k, cot: 5.0% of 10 right")
    # at 80 and 160 seconds; the first ten took an unknown start
    assert file.getvalue().splitlines() == [
        "samples: 20 of 100, about 5.3 minutes left; gsm8k, cot: 5.0% of 10 right",
        "samples: 40 of 100, about 4.0 minutes left; gsm8k, cot: 5.0% of 10 right",
    ]


def test_what_was_done_before_takes_no_time(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    file = shown(monkeypatch, terminal=False)
    with counting(Work(description="rows scored", total=1_000, done=900), name="score") as advance:
        for _ in range(3):
            clock.now += 60
            advance(10)
    assert file.getvalue().splitlines()[-1] == "   score  rows scored: 930 of 1,000, about 7.0 minutes left"


def test_a_terminal_gets_a_bar_with_the_note_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    file = shown(monkeypatch, terminal=True)
    with counting(Work(description="samples", total=2)) as advance:
        advance(note="a [bold] note\x1b[2J")
        advance(note="a [bold] note\x1b[2J")
    assert "a [bold] note\u241b[2J" in file.getvalue() and "2/2" in file.getvalue()
