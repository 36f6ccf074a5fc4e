"""Which program of a response is run, and the heads of functions that a question gives."""

from collections.abc import Iterator

import pytest

from mathwright.problems.programs import program_of
from mathwright.records import Problem
from mathwright.tools.sandbox import Sandbox
from tests.problems.asking import CHAT, ask, build, cut


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box


HEAD = '''from typing import List


def mean(xs: List[float]) -> float:
    return sum(xs) / len(xs)


def spread(xs: List[float]) -> float:
    """ Largest distance from the mean.
    >>> spread([1.0, 3.0])
    1.0
    """
'''
TESTS = "assert spread([1.0, 3.0]) == 1.0\nassert spread([0.0, 0.0, 3.0]) == mean([2.0, 2.0])\n"
FUNCTION = ask(HEAD, tests=TESTS)
BODY = "    return max(abs(x - mean(xs)) for x in xs)\n"
WITHOUT_HEAD = f"def spread(xs: List[float]) -> float:\n{BODY}"


def test_a_base_model_continues_the_head_of_a_function(sandbox: Sandbox) -> None:
    prompt = build(FUNCTION)
    assert prompt.text == HEAD and prompt.messages is None
    for more in (
        "\ndef other():\n    pass\n",
        "\nprint(spread([1]))",
        "\n# Test\n",
        "\n```\nSo",
        "\nif __name__",
        "\n@x",
    ):
        assert program_of(prompt, cut(BODY + more, prompt.stop)) == HEAD + BODY
    commented = "    # inside\n    if not xs:\n        return 0\n" + BODY
    assert cut(commented, prompt.stop) == commented
    assert sandbox.run(f"{program_of(prompt, commented)}\n{TESTS}", timeout_s=10).status == "ok"


@pytest.mark.parametrize("template", ["deepseekmath", "tokenizer", "short"])
def test_a_chat_model_is_asked_for_the_whole_function(template: str) -> None:
    prompt = build(FUNCTION, template=template, tokenizer=CHAT)
    assert HEAD.strip() in prompt.text and "prints" not in prompt.text and "boxed" not in prompt.text
    assert "one ```python block" in prompt.text


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (f" Here it is:\n```python\n{WITHOUT_HEAD}```\nDone.", "imports and the other function are in the head"),
        (f"```python\n{HEAD}{BODY}```", "the whole, written again"),
        (f"```python\nfrom __future__ import annotations\n{HEAD}{BODY}```", "an import that must stand at the top"),
        (f"```python\n{WITHOUT_HEAD}", "cut off after the program"),
        (f"```python\n{WITHOUT_HEAD}```\nFor example:\n```python\nspread(None)\n```", "an example of its use follows"),
        (
            f"```python\ndef spread(xs):\n    return 0\n```\nBetter:\n```python\n{WITHOUT_HEAD}```",
            "the last one counts",
        ),
        (f"```python\n{WITHOUT_HEAD}```\n```output\nspread(3)\n```\n", "output is no program"),
        (f"```\n{WITHOUT_HEAD}```", "an unmarked block, where there is no other"),
        (f"1. First\n   ```python\n   {WITHOUT_HEAD.replace(chr(10), chr(10) + '   ')}\n   ```", "a block in a list"),
        (
            f"```python\ndef spread(xs):\n    '''\n    ```xs``` are numbers\n    '''\n{BODY}```",
            "a fence within a line is none",
        ),
        (f"```python\nx = 1 +\n```python\n{WITHOUT_HEAD}```", "a marked fence ends a block left open"),
    ],
)
def test_the_program_of_a_chat_response(response: str, why: str, sandbox: Sandbox) -> None:
    prompt = build(FUNCTION, template="deepseekmath")
    program = program_of(prompt, response)
    assert sandbox.run(f"{program}\n{TESTS}", timeout_s=10).status == "ok", why


def test_a_head_alone_passes_no_tests(sandbox: Sandbox) -> None:
    """The head is put before a program; it must not stand in for it."""
    prompt = build(FUNCTION, template="deepseekmath")
    for response in ("```python\nx = 1\n```", "```python\n```"):
        program = program_of(prompt, response)
        assert sandbox.run(f"{program}\n{TESTS}", timeout_s=10).status == "error"


@pytest.mark.parametrize("response", ["", "I do not know.", "```output\n3\n```", "`x = 1`"])
@pytest.mark.parametrize("problem", [FUNCTION, ask()])
def test_a_response_without_a_program_has_none(response: str, problem: Problem) -> None:
    prompt = build(problem, "pot", template="deepseekmath")
    assert program_of(prompt, response) is None


def test_the_last_program_answers_a_question_without_tests() -> None:
    response = " ```python\ndef f():\n    return 1\n```\nor\n```python\nprint(2)\n```\n"
    assert program_of(build(ask(), "pot", template="deepseekmath"), response) == "print(2)"


def test_an_opened_program_ends_with_its_first_fence() -> None:
    """An engine that does not know stop strings returns the model's next question, too."""
    prompt = build(ask(), "pot", shots=2)
    assert program_of(prompt, "print(1 + 1)") == "print(1 + 1)"
    going_on = "print(1 + 1)\n```\n\nQuestion: Two?\n```python\nprint(3)\n```\n"
    assert program_of(prompt, going_on) == "print(1 + 1)"
    assert cut(going_on, prompt.stop) == "print(1 + 1)"


@pytest.mark.parametrize("shots", [0, 3])
def test_a_task_in_words_with_tests_is_answered_by_a_program_in_any_mode(shots: int) -> None:
    test = "assert add(1, 1) == 2"
    problem = ask(f"Write add.\nYour code should pass these tests:\n\n{test}", tests=test)
    prompt = build(problem, "cot", shots=shots, exemplars="code_en")
    assert prompt.text.endswith("\n\nassert add(1, 1) == 2\n```python\n")
    assert prompt.text.count("```python\n") == shots + 1
    assert program_of(prompt, "def add(a, b):\n    return a + b") == "def add(a, b):\n    return a + b"


def test_a_function_asked_for_after_exemplars_keeps_its_imports(sandbox: Sandbox) -> None:
    prompt = build(FUNCTION, shots=3, exemplars="code_en")
    assert prompt.text.endswith(f"Complete this Python function:\n\n{HEAD}```python\n")
    program = program_of(prompt, WITHOUT_HEAD)
    assert sandbox.run(f"{program}\n{TESTS}", timeout_s=10).status == "ok"


def test_prose_that_quotes_a_function_is_no_head() -> None:
    problem = ask("Mend this:\n\ndef f(x):\n    return x +", tests="assert f(1) == 2")
    assert build(problem).text.endswith("return x +\n```python\n")
    same_without_tests = ask(HEAD)
    assert build(same_without_tests).text.endswith("\nAnswer:")
