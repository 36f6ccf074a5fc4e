"""Whatever a program writes into any descriptor gives its caller a status, and the next program its own result."""

# ruff: noqa: E501  # programs, a line each

import json
import random
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.judge import judge
from mathwright.problems.templates import Prompt
from mathwright.records import Problem, ToolCall
from mathwright.tools import wire
from mathwright.tools.child import BEGIN, outcome_in
from mathwright.tools.loop import PythonTool
from mathwright.tools.processes import LostWorkerError, Worker
from mathwright.tools.sandbox import Sandbox
from mathwright.tools.unit_tests import passes_tests
from tests.properties import examples

NONCE = "ab" * 16
STATUSES = {"ok", "error", "timeout", "memory", "forbidden"}


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def nested(depth: int, inner: str = "0") -> str:
    return "[" * depth + inner + "]" * depth


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
json_values = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner), max_leaves=8
)
outcomes = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["ok", "error", "memory", "forbidden", "timeout", "great"]) | json_values,
        "value": json_values,
        "error": json_values,
        "nonce": st.just(NONCE) | json_values,
        "finished": json_values,
        "token": json_values,
        "alive": json_values,
        "begin": st.just(True) | json_values,
        "stdout": json_values,
    },
)
written = (
    st.binary(max_size=200)
    | outcomes.map(lambda message: frame(json.dumps(message).encode()))
    | json_values.map(lambda message: frame(json.dumps(message).encode()))
    | st.sampled_from([1, 90, 900, 985, 2000]).map(lambda depth: frame(nested(depth).encode()))
    | st.integers(0, 5000).map(
        lambda n: frame(b'{"status":"ok","nonce":"' + NONCE.encode() + b'","value":' + b"9" * n + b"}")
    )
    | st.binary(max_size=50).map(lambda body: frame(b'{"status":"ok","value":"' + body + b'"}'))
)


@given(st.lists(written, max_size=3).map(b"".join))
@examples(200)
def test_what_comes_out_of_a_child_is_flat_and_known(data):
    """Whatever the bytes are: an outcome that can be packed and sent on, BEGIN, or nothing yet."""
    buffer = bytearray(data)
    for _ in range(5):
        outcome = outcome_in(buffer, NONCE)
        if outcome is None or outcome is BEGIN:
            continue
        assert set(outcome) == {"alive", "status", "value", "error", "finished"}
        assert type(outcome["alive"]) is bool and type(outcome["finished"]) is bool
        assert outcome["status"] in STATUSES
        for text in (outcome["value"], outcome["error"]):
            assert text is None or (type(text) is str and len(text.encode()) < 100_000)
        assert wire.take(bytearray(wire.pack(outcome)), limit_bytes=1 << 20) == outcome
        if not outcome["alive"]:
            break


@given(outcomes)
@examples(100)
def test_only_with_its_nonce_is_it_an_outcome(message):
    buffer = bytearray(frame(json.dumps(message).encode()))
    outcome = outcome_in(buffer, NONCE)
    assert outcome is not None
    if message.get("nonce") != NONCE:
        assert outcome is not BEGIN and not outcome["alive"]


def bodies(nonce_expression: str = "nonce") -> list[str]:
    """Expressions of what to write, in the program's own terms."""
    rng = random.Random(8055)
    deep = [f"frame(('[' * {depth} + ']' * {depth}).encode())" for depth in (900, 985, 1000, 3000, 30000)]
    fields = [
        f"told({name}=json.loads('[' * {depth} + ']' * {depth}))"
        for depth in (3, 300, 480, 490, 495)
        for name in ("token", "nonce", "value", "error", "status", "finished", "passed", "seconds", "stdout", "alive")
    ]
    spelled = [
        f'frame(b\'{{"status": "ok", "nonce": "\' + {nonce_expression}.encode() + b\'", "{name}": \' + {value} + b\'}}\')'
        for name in ("token", "value", "finished")
        for value in ("b'9' * 5000", "b'1e999'", "b'NaN'", "b'[' * 985 + b']' * 985", "b'\"\\\\ud800\"'", "b'{}' * 2")
    ]
    plain = [
        "told()",
        "told() * 2",
        "told() * 50",
        "told(status='timeout')",
        "told(value=chr(0xD800) * 3999, error='\\x00\\u2028\\x85' * 1000)",
        "told(value='v' * 60000)",
        "told(value='v' * 70000)",
        "frame(json.dumps({'begin': True, 'nonce': nonce}).encode()) * 3",
        "frame(b'')",
        "b'\\x00' * 65536",
        "b'\\xff' * 65536",
        "b'\\x00\\x00\\x00\\x05{'",
        'frame(b\'{"status": "ok", "status": [], "nonce": 1}\')',
        "frame(b'\\xff\\xfe{}')",
        "frame('{\"status\": \"ok\"}'.encode('utf-16'))",
    ]
    noise = [repr(rng.randbytes(rng.randrange(1, 400))) for _ in range(20)]
    return [*deep, *fields, *spelled, *plain, *noise]


WRITE = """
import json, os, sys
found = sys._getframe()
while 'nonce' not in found.f_locals: found = found.f_back
nonce = found.f_locals['nonce']
def frame(body): return len(body).to_bytes(4, 'big') + body
def told(**fields): return frame(json.dumps(dict(dict(status='ok', value=None, error=None, nonce=nonce), **fields)).encode())
def write(data):
    for descriptor in {descriptors}:
        try:
            os.set_blocking(descriptor, False)
            os.write(descriptor, data)
        except (OSError, BlockingIOError): pass
        finally:
            try: os.set_blocking(descriptor, True)
            except OSError: pass
"""


@pytest.fixture(scope="module")
def light():
    with Sandbox(num_workers=2, preimport=()) as sandbox:
        yield sandbox


@pytest.mark.parametrize("body", bodies())
def test_a_program_that_writes_frames_harms_itself(light, body):
    """In every descriptor there may be: in the program, in the tests' calls, and between the blocks of a session."""
    write = WRITE.format(descriptors=list(range(11))) + f"write({body})\n"
    execution = light.run(write + "print('mine')", timeout_s=10)
    assert execution.status in STATUSES
    passed, execution = passes_tests(
        light, write + f"def f():\n    write({body})\n    return 1", "assert f() == 2", timeout_s=5
    )
    assert not passed and execution.status in STATUSES
    for execution in light.run_many(["print(6 * 7)"] * 2, timeout_s=10):
        assert (execution.status, execution.stdout) == ("ok", "42\n")


@pytest.mark.parametrize("body", ["told(value='1') * 2", "told(value='1') * 7", "told(value='1') + frame(b'[]')"])
@pytest.mark.parametrize(
    "when",
    [
        "write(BODY)",
        "import threading, time\nthreading.Thread(target=lambda: [write(BODY), time.sleep(0.01)] * 99).start()",
    ],
)
def test_frames_of_a_block_are_not_the_result_of_a_later_one(light, body, when):
    """Two frames shifted every later result of a session by one."""
    code = WRITE.format(descriptors=[4]) + when.replace("BODY", body)
    with light.session() as session:
        session.run(code, timeout_s=5)
        for number in range(4):
            execution = session.run(f"{number}", timeout_s=5)
            assert execution.value in (f"{number}", None), execution
            assert (execution.value is None) == (not execution.survived)


DEEP = "import os\nbody = b'{\"status\": \"ok\", \"token\": ' + b'[' * 985 + b']' * 985 + b'}'\nos.write(4, len(body).to_bytes(4, 'big') + body)"


def test_a_tool_gives_an_output_whatever_a_program_wrote(light):
    tool = PythonTool(light, timeout_s=5)
    blocks = tool.run([ToolCall(key=i, code=DEEP) for i in range(3)])
    assert all(block.startswith("```output\n") and block.endswith("```\n") for block in blocks)
    assert tool.run([ToolCall(key=0, code="print(1)")]) == ["```output\n1\n```\n"]


def test_judging_gives_a_verdict_whatever_a_program_wrote(light):
    by_tests = Problem(id="p", question="q", answer="", source="s", split="test", tests="assert f() == 1")
    by_answer = Problem(id="p", question="q", answer="1", source="s", split="test")
    response = f"```python\n{DEEP}\ndef f(): return 2\n```"
    for problem in (by_tests, by_answer):
        verdict = judge(Prompt(problem=problem, mode="pot", text=""), response, sandbox=light)
        assert verdict.status in ("incorrect", "unparsable_prediction")


@pytest.mark.parametrize(
    "answer", [frame(b"[]"), frame(b"{{{"), frame(nested(9000).encode()), frame(b"\xff"), b"", b"\0"]
)
def test_a_worker_that_answers_rubbish_is_a_lost_one(answer):
    """Also where our own process says what it should not: the program is run again on another worker."""
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(LostWorkerError):
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        Worker(ours).ask({"setup_timeout_s": 0.0, "timeout_s": 1.0})
