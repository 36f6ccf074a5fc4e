"""Solutions as text and back."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.errors import MathwrightError
from mathwright.problems.formats import parse_response, response_segments, response_text
from mathwright.records import Part, Solution


def solution(*parts: tuple[str, str]) -> Solution:
    return Solution(
        problem_id="p",
        format="tool",
        parts=tuple(Part(kind=kind, text=text) for kind, text in parts),  # type: ignore[arg-type]
        answer="1",
    )


TWO_ROUNDS = solution(
    ("text", "First the sum."),
    ("code", "a = 1 + 2\nprint(a)"),
    ("output", "3"),
    ("text", "Now the product."),
    ("code", "print(a * 2)"),
    ("output", "6"),
    ("text", "The answer is \\boxed{6}."),
)


def test_only_outputs_are_not_trained_on() -> None:
    assert response_segments(TWO_ROUNDS) == [
        (" First the sum.\n```python\na = 1 + 2\nprint(a)\n```\n", True),
        ("```output\n3\n```\n", False),
        ("Now the product.\n```python\nprint(a * 2)\n```\n", True),
        ("```output\n6\n```\n", False),
        ("The answer is \\boxed{6}.", True),
    ]


def test_two_outputs_in_a_row_stay_two_segments() -> None:
    segments = response_segments(solution(("code", "print(1)"), ("output", "1"), ("output", "2")))
    assert [trained for _, trained in segments] == [True, False, False]


def test_the_first_segment_begins_as_the_template_says() -> None:
    text = solution(("text", "Yes."))
    assert response_text(text) == response_text(text, "short") == " Yes."
    assert response_text(text, "tokenizer") == "Yes."


def test_an_empty_output_is_an_empty_block() -> None:
    parts = solution(("code", "pass"), ("output", "")).parts
    text = response_text(solution(("code", "pass"), ("output", "")))
    assert text == " ```python\npass\n```\n```output\n```\n"
    assert parse_response(text) == parts


@pytest.mark.parametrize("kind", ["code", "output"])
@pytest.mark.parametrize(
    "inside", ["```", "print('''\n```\n''')", "```python\nx\n```", "a\n  `````\nb", "````\n```output"]
)
def test_a_fence_inside_a_program_or_output_stands_between_longer_ones(kind: str, inside: str) -> None:
    written = solution(("text", "So:"), (kind, inside), ("text", "Done."))
    assert parse_response(response_text(written)) == written.parts


@pytest.mark.parametrize(
    "text", ["It prints\n```\n12\n```\nas it should.", "```latex\n\\frac{1}{2}\n```", "a ```b``` c"]
)
def test_prose_keeps_blocks_that_are_no_programs(text: str) -> None:
    written = solution(("text", text), ("code", "print(1)"))
    assert parse_response(response_text(written)) == written.parts


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("First:\n```python\nprint(1)\n```", "line 2 of its text begins a ```python block"),
        ("```output\n1\n```", "line 1 of its text begins a ```output block"),
        ("One.\nTwo.\n```", "the code fence in line 3 of its text is not closed"),
        ("```text\n```python\nprint(1)", "the code fence in line 1 of its text is not closed"),
    ],
)
def test_prose_that_could_not_be_read_back_is_named(text: str, told: str) -> None:
    with pytest.raises(MathwrightError) as error:
        response_text(solution(("code", "x = 1"), ("text", text), ("code", "print(x)")))
    assert "problem p, part 2" in str(error.value)
    assert told in str(error.value)


def test_a_block_that_is_cut_off_stays_text() -> None:
    assert parse_response(" So:\n```python\nprint(1") == (Part(kind="text", text="So:\n```python\nprint(1"),)


LINES = st.lists(
    st.text("a1 \t{}\\#=`é算", max_size=5).filter(lambda line: not line.lstrip().startswith("```")), max_size=4
)

LINES_WITH_FENCES = st.lists(st.text("a \t`", max_size=7) | st.sampled_from(["```", "```python", " ````"]), max_size=4)


@st.composite
def canonical_parts(draw: st.DrawFn) -> tuple[tuple[str, str], ...]:
    """Parts as parse_response returns them: text stripped and never twice in a row."""
    parts: list[tuple[str, str]] = []
    for kind in draw(st.lists(st.sampled_from(["text", "code", "output"]), max_size=6)):
        text = "\n".join(draw(LINES if kind == "text" else LINES_WITH_FENCES))
        if kind == "text" and (not text.strip() or (parts and parts[-1][0] == "text")):
            continue
        parts.append((kind, text.strip() if kind == "text" else text.rstrip("\n")))
    return tuple(parts)


@given(canonical_parts())
def test_what_is_written_is_read_back(parts: tuple[tuple[str, str], ...]) -> None:
    written = solution(*parts)
    assert parse_response(response_text(written)) == written.parts
    assert "".join(text for text, _ in response_segments(written)) == response_text(written)


def test_transcripts_of_a_published_model_survive_the_round_trip(shared_data: Path) -> None:
    rows = (shared_data / "solutions" / "tora_examples_train.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 30
    for row in rows:
        transcript = json.loads(row)["messages"][-1]["content"]
        parts = parse_response(transcript)
        for kind, fence in (("code", "```python"), ("output", "```output")):
            assert [part.kind for part in parts].count(kind) == transcript.count(fence)
        again = Solution(problem_id="t", format="tool", parts=parts, answer="")
        assert parse_response(response_text(again)) == parts
        assert response_text(again).split() == transcript.split()
