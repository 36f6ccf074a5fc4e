"""Programs judged by tests: right ones pass, wrong ones and those that cheat do not."""

import textwrap

import pytest

from mathwright.tools.tests import passes_tests

TESTS = "assert add(1, 2) == 3\nassert add(-1, 1) == 0\nassert abs(add(0.1, 0.2) - 0.3) < 1e-9"


def passes(sandbox, code, tests=TESTS, *, timeout_s=10.0):
    return passes_tests(sandbox, textwrap.dedent(code), textwrap.dedent(tests), timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("code", "tests"),
    [
        ("def add(a, b): return a + b", TESTS),
        ("import operator\nadd = operator.add\nprint('loud')", TESTS),
        ("def add(a, b): return a + b", "def check(candidate):\n    assert candidate(2, 2) == 4\ncheck(add)"),
        ("def sum(a, b): return a + b", "assert sum(10, 15) == 25"),  # named as a builtin, as in MBPP
        # Its own helper may shadow a builtin as well.
        ("def filter(x): return x + 1\ndef f(x): return filter(x)", "assert list(map(abs, [f(1)])) == [2]"),
        ("def area(r): return 3.0 * r", "import math\nassert math.isclose(area(1), 3.0)"),
        ("import random\nrandom.seed(1)\ndef f(): return 1", "import random\nassert f() == 1"),
        (
            "count = 0\ndef up():\n    global count\n    count += 1\n    return count",
            "assert up() == 1\nassert up() == 2",
        ),
        ("class P:\n    def __init__(self): self.x = 1", "p = P()\nassert p.x == 1"),
        ("x = 1", ""),
    ],
)
def test_right_programs_pass(sandbox, code, tests):
    passed, execution = passes(sandbox, code, tests)
    assert passed, execution
    assert (execution.status, execution.error) == ("ok", None)


WRONG = "def add(a, b): return 0\n"


@pytest.mark.parametrize(
    "code",
    [
        WRONG,
        "",
        "def add(a, b): return a + b\n1 / 0",  # the program itself must run
        "def add(a, b: return a + b",
        WRONG + "raise SystemExit",
        WRONG + "import sys; sys.exit(0)",
        WRONG + "import os; os._exit(0)",
        "def add(a, b): return a + b\nimport sys; sys.exit(0)",
        "def add(a, b): raise SystemExit(0)",
        "def add(a, b): raise SystemExit",
        "import os\ndef add(a, b): os._exit(0)",
        "def add(a, b):\n    exit()",
        WRONG + "import atexit, os; atexit.register(os._exit, 0)",
        WRONG + "AssertionError = ValueError",
        WRONG
        + "import builtins\nbuiltins.AssertionError = type('E', (BaseException,), {'__init__': lambda *a: exit()})",
        "def add(a, b): return 2\ndef abs(x): return 0",
        "import builtins\nbuiltins.abs = lambda x: 0\ndef add(a, b): return {(1, 2): 3, (-1, 1): 0}.get((a, b), 9)",
        "def add(a, b): return {(1, 2): 3, (-1, 1): 0}.get((a, b), 9)\ndef abs(x): return 0",
        "def add(a, b): return {(1, 2): 3, (-1, 1): 0}.get((a, b), 9)\n__builtins__ = {'abs': lambda x: 0}",
        WRONG + "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None",
        WRONG + "import ast\nast.parse = lambda *a, **k: ast.Module(body=[], type_ignores=[])",
        WRONG + "import gc\nfor o in gc.get_objects():\n  if type(o) is dict and '_run' in o: o['_run'] = lambda *a: 0",
        WRONG + "import sys\nsys.settrace(lambda *a: exit())",
        WRONG + "import sys\ndef hook(*a): raise SystemExit\nsys.setprofile(hook)",
        WRONG + "import gc\ngc.callbacks.append(lambda *a: exit())",
        WRONG + "import signal, sys\nsignal.signal(14, lambda *a: sys.exit(0))\nsignal.setitimer(0, 0.01, 0.01)",
        WRONG + "import threading, os, time\nthreading.Thread(target=lambda: (time.sleep(0.05), os._exit(0))).start()",
        WRONG + "if True:",
        WRONG + "x = '''",
        WRONG + "x = 1 \\",
        WRONG + "# coding: nonsense\nimport sys; sys.stdin.read(); quit()",
    ],
)
def test_wrong_programs_and_cheats_do_not_pass(sandbox, code):
    passed, execution = passes(sandbox, code)
    assert not passed, execution


def test_modules_the_tests_import_are_as_they_were(sandbox):
    tests = "import math\nfrom os import path\nassert math.isclose(half(1), 0.5)\nassert path.join('a', 'b') == half"
    cheat = (
        "import math, os.path\nmath.isclose = lambda *a: True\nos.path.join = lambda *a: half\ndef half(x): return 9"
    )
    assert not passes(sandbox, cheat, tests)[0]
    deep = "import numpy as np\nimport numpy.testing\nnp.testing.assert_allclose(half(1), 0.5)"
    patched = "import numpy\nnumpy.testing.assert_allclose = lambda *a: None\ndef half(x): return 9"
    assert not passes(sandbox, patched, deep)[0]
    assert passes(sandbox, "def half(x): return x / 2", deep)[0]


@pytest.mark.parametrize("num_forged", [1, 2, 3])
def test_forged_outcomes_do_not_pass(sandbox, num_forged):
    forged = f"""
        import json, os
        body = json.dumps(dict(status='ok', value=None, error=None, token='0' * 32, finished=True)).encode()
        os.write(4, (len(body).to_bytes(4, 'big') + body) * {num_forged})
        def add(a, b): return 0
    """
    assert not passes(sandbox, forged)[0]


def test_the_token_and_the_tests_are_not_there_before_the_program_ended(sandbox):
    """A program that looks at everything in its interpreter finds no word of the tests."""
    code = """
        import gc
        word = 'uvwxyz'[::-1]
        kinds = (dict, list, tuple)
        found = sum(word in repr(o)[:10**5] for o in gc.get_objects() if isinstance(o, kinds) and o is not globals())
        def add(a, b): return found
    """
    passed, execution = passes(sandbox, code, "assert add(0, 0) == 0, 'zyxwvu'", timeout_s=60)
    assert passed, execution


def test_the_execution_says_what_happened(sandbox):
    passed, execution = passes(sandbox, "def add(a, b):\n    print('in', a)\n    return a * b")
    assert (passed, execution.status, execution.stdout) == (False, "error", "in 1\n")
    assert "AssertionError" in (execution.error or "")
    assert "NameError" in (passes(sandbox, "1", "add(1, 2)")[1].error or "")
    assert "ZeroDivisionError" in (passes(sandbox, "1 / 0")[1].error or "")


def test_time_is_for_both_together(sandbox):
    slow = "import time\ntime.sleep(0.7)\ndef add(a, b):\n    time.sleep(0.7)\n    return a + b"
    passed, execution = passes(sandbox, slow, timeout_s=1)
    assert (passed, execution.status) == (False, "timeout")
    assert passes(sandbox, "while True: pass", timeout_s=0.5)[1].status == "timeout"


def test_each_trial_is_fresh_and_the_worker_goes_on(sandbox):
    for _ in range(3):
        assert passes(sandbox, "def add(a, b): return a + b")[0]
        assert not passes(sandbox, "x = 1")[0]
        assert not passes(sandbox, "raise SystemExit")[0]
        assert sandbox.run("'add' in globals()", timeout_s=5).value == "False"


def test_tests_that_are_not_python_are_the_callers_mistake(sandbox):
    with pytest.raises(ValueError, match="not Python"):
        passes(sandbox, "x = 1", "assert (")
    with pytest.raises(ValueError, match="timeout_s is 0"):
        passes(sandbox, "x = 1", timeout_s=0)
