"""The tool a generator calls in the middle of a response."""

from dataclasses import dataclass

import pytest

from mathwright.tools.execute import clip
from mathwright.tools.loop import PythonTool, program_answer, tool_output
from mathwright.tools.sandbox import Execution, ExecutionStatus


@dataclass(frozen=True)
class Call:
    key: int
    code: str


@pytest.fixture
def tool(sandbox):
    return PythonTool(sandbox, timeout_s=2, max_output_chars=64)


def run(tool, code, key=0):
    return tool.run([Call(key, code)])[0]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Let us see.\n```python\nprint(1)\n```\n", "print(1)"),
        (" ```python\nprint(1)\n```\n", "print(1)"),  # the space between prompt and response
        ("```python\na = 1\n\nprint(a)\n```\n\n", "a = 1\n\nprint(a)"),  # two line ends in one token
        ("```python\n```\n", ""),
        ("```python\nx = '```'\n```\n", "x = '```'"),
        ("```python\n1\n```\n```output\n1\n```\nThen\n```python\n2\n```\n", "2"),
        ("", None),
        ("no program", None),
        ("```python\nprint(1)\n```", None),  # the line may go on
        ("```python\nprint(1)\n", None),
        ("```python\nprint(1)\n```\nSo", None),
        ("```python\nprint(1)\n```\nSo\n", None),
        ("```python\n1\n```\n```output\n1\n```\n", None),
        ("```\nprint(1)\n```\n", None),
        ("```output\n```python\n```\n", None),
        ("```python\n1\n```\n```\n", None),  # a fence that opens a block
    ],
)
def test_pending(tool, text, code):
    assert tool.pending(text) == code


@pytest.mark.parametrize(
    ("code", "block"),
    [
        ("print(6 * 7)", "```output\n42\n```\n"),
        ("6 * 7", "```output\n42\n```\n"),
        ("print(1)\n6 * 7", "```output\n1\n```\n"),
        ("x = 1", "```output\n```\n"),
        ("1 / 0", "```output\nZeroDivisionError: division by zero\n```\n"),
        ("print('so far')\n1 / 0", "```output\nso far\nZeroDivisionError: division by zero\n```\n"),
        ("print('```')", "```output\n'''\n```\n"),
        ("print('x' * 100)", f"```output\n{'x' * 32}\n... [36 characters left out] ...\n{'x' * 32}\n```\n"),
    ],
)
def test_what_the_model_sees(tool, code, block):
    assert run(tool, code) == block


def test_variables_persist_within_a_response_and_not_beyond(tool):
    assert run(tool, "print('once'); x = 2", key=1) == "```output\nonce\n```\n"
    assert run(tool, "x * 2", key=1) == "```output\n4\n```\n"
    assert "NameError" in run(tool, "x", key=2)
    tool.close(1)
    tool.close(1)
    assert "NameError" in run(tool, "x", key=1)


def test_blocks_that_failed_keep_what_they_did_before(tool):
    assert "ZeroDivisionError" in run(tool, "x = 2\n1 / 0")
    assert run(tool, "x") == "```output\n2\n```\n"


def test_blocks_that_were_killed_are_not_repeated(sandbox):
    tool = PythonTool(sandbox, timeout_s=0.5)
    run(tool, "x = 2")
    assert "TimeoutError: the program ran longer than 0.5 s" in run(tool, "while True: pass")
    assert "code 3" in run(tool, "import os; os._exit(3)")
    assert run(tool, "x") == "```output\n2\n```\n"


def test_responses_run_side_by_side(tool):
    assert tool.run([Call(i, f"x = {i}\nx") for i in range(5)]) == [f"```output\n{i}\n```\n" for i in range(5)]
    assert tool.run([Call(i, "x + 1") for i in range(5)]) == [f"```output\n{i + 1}\n```\n" for i in range(5)]


def execution(status: ExecutionStatus = "ok", stdout="", value=None, error=None):
    return Execution(status=status, stdout=stdout, value=value, error=error, seconds=0.1, survived=True)


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (execution(stdout="first\n 42 \n\n"), "42"),
        (execution(value="17"), "17"),
        (execution(stdout="42\n", value="17"), "42"),
        (execution(), None),
        (execution(stdout="\n"), None),
        (execution(status="error", stdout="42\n", error="E"), None),
        (execution(status="timeout", stdout="42\n", error="E"), None),
    ],
)
def test_program_answer(given, answer):
    assert program_answer(given) == answer


def test_tool_output_of_an_error_is_its_last_line():
    assert tool_output(execution(status="error", error="Traceback:\n  line\nValueError: no")) == "ValueError: no"


def test_clip_keeps_both_ends():
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdefg", 5) == "abc\n... [2 characters left out] ...\nfg"
    assert clip("abc", 1) == "a\n... [2 characters left out] ...\n"
