"""Programs judged by tests: right ones pass, wrong ones and those that cheat do not."""

# ruff: noqa: E501  # programs, a line each

import textwrap

import pytest

from mathwright.tools.unit_tests import passes_tests

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
    left_out = "assert math.isclose(half(1), 0.5)"
    assert not passes(sandbox, "class math: isclose = staticmethod(lambda *a: True)\ndef half(x): return 9", left_out)[
        0
    ]
    assert passes(sandbox, "import math\ndef half(x): return x / 2", left_out)[0]
    own = "class Own:\n    def push(self, x): return x\nqueue = Own()"
    assert passes(sandbox, own, "assert queue.push(1) == 1")[0]
    deep = "import numpy as np\nimport numpy.testing\nnp.testing.assert_allclose(half(1), 0.5)"
    patched = "import numpy\nnumpy.testing.assert_allclose = lambda *a: None\ndef half(x): return 9"
    assert not passes(sandbox, patched, deep)[0]
    assert passes(sandbox, "def half(x): return x / 2", deep)[0]


@pytest.mark.parametrize("num_forged", [1, 2, 3])
@pytest.mark.parametrize(
    "message",
    [
        "dict(status='ok', value=None, error=None, nonce=nonce, finished=True)",
        "dict(gave=[True])",
        "dict(gave=[3])",
        "dict(raised=['SystemExit', 'BaseException'], arguments=[0], text='')",
        "dict(ask='name', **{'with': ['__builtins__']})",
    ],
)
@pytest.mark.parametrize("descriptor", [3, 4])
def test_forged_messages_do_not_pass(sandbox, num_forged, message, descriptor):
    forged = f"""
        import json, os, sys
        frame = sys._getframe()
        while 'nonce' not in frame.f_locals: frame = frame.f_back
        nonce = frame.f_locals['nonce']
        body = json.dumps({message}).encode()
        def add(a, b):
            try: os.write({descriptor}, (len(body).to_bytes(4, 'big') + body) * {num_forged})
            except OSError: pass
            return 0
        if {num_forged} == 3: add(1, 2)
    """
    assert not passes(sandbox, forged)[0]


@pytest.mark.parametrize("descriptor", [3, 4, 1])
@pytest.mark.parametrize("num_threads", [1, 5])
@pytest.mark.parametrize("defines", ["", "def add(a, b): return 0"])
def test_threads_left_behind_do_not_answer_for_the_tests(sandbox, descriptor, num_threads, defines):
    """They read whatever arrives in the program's process, and answer it with all that could be taken for success."""
    threads = f"""
        import json, os, re, threading
        {defines}
        def answer():
            while True:
                data = os.read({descriptor}, 65536)
                token = re.search(rb'"(?:token|nonce)": "(\\w+)"', data)
                told = dict(status='ok', value=None, error=None, finished=True, passed=True, gave=[True])
                told['token'] = told['nonce'] = token.group(1).decode() if token else ''
                body = json.dumps(told).encode()
                os.write(4, len(body).to_bytes(4, 'big') + body)
        for _ in range({num_threads}): threading.Thread(target=answer, daemon=True).start()
    """
    assert not passes(sandbox, threads, timeout_s=3)[0]


@pytest.mark.parametrize(
    "code",
    [
        "class E:\n    def __eq__(self, other): return True\n    def __sub__(self, other): return 0\nadd = lambda a, b: E()",
        "class E:\n    def __eq__(self, o): return o == o\n    def __rsub__(self, o): return self\n"
        "    def __sub__(self, o): return self\n    def __abs__(self): return 0\n    def __lt__(self, o): return True\n"
        "add = lambda a, b: E()",
        "class E(int):\n    def __eq__(self, other): return True\n    def __sub__(self, o): return 0\nadd = lambda a, b: E(7)",
        "class E(float):\n    def __eq__(self, other): return True\n    def __rsub__(self, o): return 0.0\n"
        "    __sub__ = __abs__ = __rsub__\nadd = lambda a, b: E(7)",
        "class E(str):\n    __eq__ = lambda *a: True\n    __hash__ = None\nadd = lambda a, b: E('x')",
        "from unittest.mock import ANY\nadd = lambda a, b: ANY",
        "import numpy\nadd = lambda a, b: numpy.array([])",  # every comparison of nothing is true for `all`
        "class add:\n    def __new__(cls, a, b): return cls\n    def __eq__(self, o): return True",
        "import fractions\nfractions.Fraction.__eq__ = lambda *a: True\nadd = lambda a, b: fractions.Fraction(1, 3)",
        "import ctypes\n# the integer 3 is made to be 0 in this interpreter\n"
        "ctypes.memmove(id(3) + 24, ctypes.byref(ctypes.c_int(0)), 4)\nadd = lambda a, b: 0",
        "import sys\nsys.modules['builtins'].__dict__['abs'] = lambda x: 0\nadd = lambda a, b: 0",
    ],
)
def test_results_that_claim_to_be_right_do_not_pass(sandbox, code):
    assert not passes(sandbox, code, timeout_s=5)[0]


@pytest.mark.parametrize(
    "handed",
    [
        "o.__globals__",
        "o.__code__.co_consts",
        "o.__closure__",
        "o.gi_frame.f_globals",
        "o.mro",
        "'{0.__globals__}'.format(o)",
        "object.__getattribute__(o, '_peer').ask('getattr', o, '__globals__')",
        "object.__getattribute__(o, '_peer').ask('__str__', o)",
        "object.__getattribute__(o, '_peer').ask('getattr', '{0.__globals__}', 'format')(o)",
        "object.__getattribute__(o, '_peer').ask('name', 'expected')",
        "object.__getattribute__(o, '_peer').call(eval, ('expected',), {})",
    ],
)
@pytest.mark.parametrize("given", ["lambda: None", "(i for i in [1])", "type('T', (), {})", "Point(1)"])
def test_what_tests_hand_over_does_not_lead_to_them(sandbox, handed, given):
    code = f"""
        def f(o):
            try: return repr({handed})[:10**5]
            except BaseException as error: return repr(error)
    """
    tests = f"""
        expected = 'needle' + '-8055'
        class Point:
            def __init__(self, x): self.x = x
        told = f({given})
        assert 'needle' not in str(told), told
    """
    passed, execution = passes(sandbox, code, tests)
    assert passed, execution


RIGHT = {
    "mutated list": ("def f(x): x.append(1); x[0] = 9", "l = [1]\nf(l)\nassert l == [9, 1]"),
    "mutated dict": ("def f(x, *, d): d[x] = [x]; d.pop(1)", "d = {1: 2}\nf(3, d=d)\nassert d == {3: [3]}"),
    "generator": ("def f(n):\n    yield from range(n)", "assert list(f(3)) == [0, 1, 2]\nassert 2 in f(3)"),
    "iterator given": ("def f(x): return sum(x)", "assert f(i for i in range(4)) == 6"),
    "class": (
        "class P:\n    n = 0\n    def __init__(self, x): self.x = x\n    def twice(self): return 2 * self.x\n"
        "    def __eq__(self, o): return self.x == o.x\n    def __len__(self): return 7\n    def __getitem__(self, i): return i",
        "p = P(3)\nassert p.x == 3 and p.twice() == 6 and p == P(3) and p != P(4) and len(p) == 7 and p['k'] == 'k'\n"
        "p.x = 5\nassert p.twice() == 10 and isinstance(p, P) and not isinstance(3, P)",
    ),
    "linked list": (
        "class Node:\n    def __init__(self, v, n=None): self.v, self.n = v, n\n"
        "def f(node): return [] if node is None else [node.v, *f(node.n)]",
        "root = Node(1)\nroot.n = Node(2)\nassert f(root) == [1, 2] and f(None) == [] and root.n.n is None",
    ),
    "objects in containers": (
        "class P:\n    def __init__(self, a, b): self.a, self.b = a, b\ndef f(ps, n): return len([p for p in ps if p.a < n])",
        "assert f([P(1, 2), P(5, 6)], 4) == 1",
    ),
    "callback": ("def f(g, xs): return [g(x) for x in xs]", "assert f(lambda x: x + 1, [1, 2]) == [2, 3]"),
    "callback that calls back": (
        "def f(g): return g(1) + 1\ndef h(x): return x * 10",
        "assert f(lambda x: h(x)) == 11",
    ),
    "builtin given": ("def f(g, xs): return g(xs)", "assert f(sorted, [2, 1]) == [1, 2] and f(max, [2, 1]) == 2"),
    "type given": ("def f(t, x): return t(x)", "assert f(str, 1) == '1' and f(list, 'ab') == ['a', 'b']"),
    "object of the tests": (
        "def f(p): p.x += 1; return p.name()",
        "class T:\n    x = 1\n    def name(self): return 'n'\nt = T()\nassert f(t) == 'n' and t.x == 2",
    ),
    "function returned": ("def f(n): return lambda x: x + n", "assert f(2)(3) == 5 and callable(f(1))"),
    "exception": (
        "def f(x): raise ValueError('bad', x)",
        "try: f(1)\nexcept ValueError as e: assert e.args == ('bad', 1)\nelse: assert False",
    ),
    "exception of its own": (
        "class Mine(KeyError): pass\ndef f(x): raise Mine('k')",
        "try: f(1)\nexcept Mine as e: assert isinstance(e, KeyError)\nelse: assert False",
    ),
    "StopIteration": ("def f(): return iter([1])", "i = f()\nassert next(i) == 1 and next(i, None) is None"),
    "named tuple": (
        "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, 2)",
        "assert f() == (1, 2) and f().x == 1 and isinstance(f(), tuple) and isinstance(f(), P)",
    ),
    "enum": (
        "import enum\nclass C(enum.IntEnum):\n    A = 1\n    B = 2\ndef f(): return C.B",
        "assert f() == 2 and f() == C.B and f().name == 'B'",
    ),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass D:\n    x: int\ndef f(): return D(1)",
        "assert f() == D(1) and f() != D(2) and repr(f()) == 'D(x=1)'",
    ),
    "kinds of data": (
        "from fractions import Fraction\nfrom decimal import Decimal\nimport datetime, collections\n"
        "def f(): return [1 << 200, -1 << 200, 1j, b'a', {1, 2}, frozenset([3]), range(3), None, True, 0.1, float('inf'),\n"
        "    Fraction(1, 3), Decimal('0.10'), datetime.date(2020, 1, 2), collections.Counter('aab'), ('t', ()), {(1,): {2: 3}},\n"
        "    collections.deque([1]), collections.OrderedDict(a=1), '\\ud800', datetime.timedelta(1), bytearray(b'x'), int]",
        "import collections, datetime\nfrom fractions import Fraction\nfrom decimal import Decimal\n"
        "assert f() == [1 << 200, -1 << 200, 1j, b'a', {1, 2}, frozenset([3]), range(3), None, True, 0.1, float('inf'),\n"
        "    Fraction(1, 3), Decimal('0.1'), datetime.date(2020, 1, 2), {'a': 2, 'b': 1}, ('t', ()), {(1,): {2: 3}},\n"
        "    collections.deque([1]), {'a': 1}, '\\ud800', datetime.timedelta(1), bytearray(b'x'), int]",
    ),
    "context manager": (
        "class C:\n    log = []\n    def __enter__(self): return self.log\n    def __exit__(self, *e): self.log.append(e[0] is None)",
        "with C() as log: pass\nassert C.log == [True] and log == []",
    ),
    "docstring": ("def f():\n    'what it does'", "assert f.__doc__ == 'what it does' and f.__name__ == 'f'"),
    "item deleted": (
        "class C(dict): pass\nc = C(a=1)\nclass D:\n    def __delitem__(self, k): c.pop(k)",
        "d = D()\ndel d['a']\nassert c == {}",
    ),
    "not a number": ("def f(): return float('nan')", "x = f()\nassert x != x and type(x) is float"),
    "types are kept": (
        "def f(x): return x",
        "assert f(1) is not True and type(f(1.0)) is float and type(f(())) is tuple and f([]) == [] and f({}) == {}",
    ),
    "numpy": (
        "import numpy as np\ndef f(n): return np.arange(n) / 2\ndef g(): return np.float64(0.5)",
        "import numpy\nnumpy.testing.assert_allclose(f(3), [0, 0.5, 1])\nassert (f(2) == numpy.array([0, 0.5])).all()\n"
        "assert g() == 0.5 and f(2).shape == (2,) and np.pi > 3",
    ),
    "sympy": (
        "import sympy\nx = sympy.Symbol('x')\ndef f(): return sympy.sqrt(2) * x + sympy.pi\ndef n(): return sympy.Integer(5)",
        "import sympy\nassert f() == sympy.sqrt(2) * sympy.Symbol('x') + sympy.pi and n() == 5 and str(f()).endswith('pi')\n"
        "assert f().subs(x, 0) == sympy.pi",
    ),
    "names of modules": ("import math\nfrom math import sqrt", "assert math.floor(2.5) == 2 and sqrt(4) == 2"),
    "a global that changes": ("n = 0\ndef up():\n    global n\n    n += 1", "up()\nup()\nassert n == 2"),
    "through globals()": ("def f(): return 1", "assert globals()['f']() == 1 and eval('f()') == 1"),
    "nested deep": ("def f(n): return [] if n == 0 else [f(n - 1)]", "x = f(100)\nassert x == f(100) and x != f(99)"),
    "large": ("def f(n): return list(range(n))", "assert f(10**5) == list(range(10**5))"),
    "printing": ("def f():\n    print('a')\n    return 1", "print('b')\nassert f() == 1"),
    "threads of its own": (
        "from concurrent.futures import ThreadPoolExecutor\ndef f(xs):\n    with ThreadPoolExecutor(4) as p: return list(p.map(abs, xs))",
        "assert f([-1, 2]) == [1, 2]",
    ),
    "files": ("def f(): open('x', 'w').write('1')", "f()\nassert open('x').read() == '1'"),
    "memoised": (
        "import functools\n@functools.cache\ndef f(n): return n if n < 2 else f(n-1) + f(n-2)",
        "assert f(90) > 1e18",
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_tests_use_a_program_as_if_it_were_theirs(sandbox, name):
    passed, execution = passes(sandbox, *RIGHT[name])
    assert passed, execution


def test_the_tests_are_not_there_before_or_while_they_run(sandbox):
    """A program that looks at everything in its interpreter finds no word of the tests."""
    code = """
        import gc
        word = 'uvwxyz'[::-1]
        kinds = (dict, list, tuple)
        def look():
            return sum(word in repr(o)[:10**5] for o in gc.get_objects() if isinstance(o, kinds) and o is not globals())
        before = look()
        def add(a, b): return before + look()
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
    assert execution.error == "TimeoutError: the program ran longer than 1 s"
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
