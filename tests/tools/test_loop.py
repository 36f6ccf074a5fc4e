"""The tool a generator calls in the middle of a response."""

import re
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.records import ToolCall
from mathwright.tools import fences
from mathwright.tools.execute import clip
from mathwright.tools.loop import PythonTool, program_answer, tool_output
from mathwright.tools.sandbox import Execution, ExecutionStatus, Sandbox


@pytest.fixture
def tool(sandbox):
    return PythonTool(sandbox, timeout_s=2, max_output_chars=64)


def run(tool, code, key=0):
    return tool.run([ToolCall(key=key, code=code)])[0]


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
        ("```py\n1\n```\n", "1"),
        ("```Python\n1\n```\n", "1"),
        ("```python3\n1\n```\n", "1"),
        ("```python copy\n1\n```\n", "1"),
        ("```pycon\n1\n```\n", None),
        ("```c++\nint i;\n```\n```python\n1\n```\n", "1"),  # not taken for a fence that closes
        ("```python\r\na = 1\r\na\r\n```\r\n", "a = 1\r\na"),
        ("```python\n1\n```\n```python\n2\n```\n", "2"),  # one token finished both
        ("```python\nprint(1)\n", None),  # never closed
        ("```python\nx = 1\nSo x is 1.\n```output\n1\n", None),
        ("````markdown\n```python\n1\n```\n", None),  # inside the block of four ticks
        ("````markdown\n```python\n1\n```\n````\n", None),
        ('````python\ns = """\n```\n"""\n````\n', 's = """\n```\n"""'),
        ("1. So:\n   ```python\n   1\n   ```\n", "   1"),  # in a list
        ("```python\nif x:\n    s = F(\n    ```\n    )\n```\n", "if x:\n    s = F(\n    ```\n    )"),
        ("Inline ```python\n1\n```\n", None),  # the line does not begin with the fence: the last one opens
    ],
)
def test_pending(tool, text, code):
    assert tool.pending(text) == code


def oracle(text):
    """`pending`, read from the beginning: the state of every line."""
    opened, block, closed = None, [], None
    for line in text.split("\n")[:-1]:
        line = line.rstrip()
        fence = re.fullmatch(r"( *)(`{3,})([^`]*)", line)
        if opened is None:
            closed = closed if not line else None
            if fence:
                opened, block = (len(fence[1]), len(fence[2]), fence[3]), []
        elif fence and not fence[3] and len(fence[1]) <= opened[0] and len(fence[2]) >= opened[1]:
            closed = "\n".join(block) if opened[2] == "python" else None
            opened = None
        else:
            block.append(line)
    return closed if text.endswith("\n") and text.rstrip().endswith("```") else None


LINES = ["```python\n", "```output\n", "```\n", "````\n", " ```\n", "x = 1\n", "\n", "a ```\n"]


@given(st.lists(st.lists(st.sampled_from(LINES), min_size=1, max_size=12), min_size=2, max_size=4), st.randoms())
def test_growing_responses_side_by_side_are_read_as_if_from_the_beginning(responses, random):
    tool = PythonTool(cast("Sandbox", None))
    filler = "words\n" * 1000  # long texts are remembered
    texts = [filler] * len(responses)
    turns = [i for i, lines in enumerate(responses) for _ in lines]
    random.shuffle(turns)
    places = [iter(lines) for lines in responses]
    for i in turns:
        texts[i] += next(places[i])
        assert tool.pending(texts[i]) == oracle(texts[i])


def test_a_response_of_nothing_but_fences_is_read_once(monkeypatch):
    """50,000 of them, each read from the beginning, would be a billion lines."""
    num_lines = 0
    read_line = fences._read_line

    def count(*arguments):
        nonlocal num_lines
        num_lines += 1
        read_line(*arguments)

    monkeypatch.setattr(fences, "_read_line", count)
    tool = PythonTool(cast("Sandbox", None))
    text = "word\n" * 2000
    for _ in range(500):
        text += "```\n"
        tool.pending(text)
    assert num_lines == 2500


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
        ("print('````')\nprint('```python')", "```output\n'''`\n'''python\n```\n"),
        ("a = 1\r\na", "```output\n1\n```\n"),
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
    assert tool.run([ToolCall(key=i, code=f"x = {i}\nx") for i in range(5)]) == [
        f"```output\n{i}\n```\n" for i in range(5)
    ]
    assert tool.run([ToolCall(key=i, code="x + 1") for i in range(5)]) == [
        f"```output\n{i + 1}\n```\n" for i in range(5)
    ]


def test_equal_programs_run_once_and_each_response_keeps_its_own_state(sandbox, monkeypatch):
    num_run: list[int] = []
    run_many = sandbox.run_many

    def count(programs, **options):
        num_run.append(len(programs))
        return run_many(programs, **options)

    monkeypatch.setattr(sandbox, "run_many", count)
    tool = PythonTool(sandbox, timeout_s=2)
    rounds = [["x = 1\nx", "x = 2\nx", "x = 1\nx", "x = 1\nx"], ["x + 10", "x + 10", "x + 10", "x + 20"]]
    outputs = [tool.run([ToolCall(key=key, code=code) for key, code in enumerate(codes)]) for codes in rounds]
    assert outputs == [[f"```output\n{n}\n```\n" for n in row] for row in ([1, 2, 1, 1], [11, 12, 11, 21])]
    assert num_run == [2, 3], "the same text after other blocks is another program"


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
