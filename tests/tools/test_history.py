"""What a program can find in its own process: nothing of other programs, of the tests it is judged by, or of ours."""

# ruff: noqa: E501  # programs, a line each

import os
import textwrap
from pathlib import Path

import pytest

from mathwright.tools.sandbox import Program, Sandbox
from mathwright.tools.unit_tests import passes_tests

PACKAGE = str(Path(__file__).resolve().parents[2] / "mathwright")

# Looks at every page of its process, found by mincore, which answers for what is mapped, around every object the collector
# knows, every thread's stack, and the environment; a page is read by writing it into a pipe, which fails where it
# cannot be read. The needle is only ever there with each byte raised by one, or the program would find its own; raising
# is done to what is read too, and unlike reversing, what is left of that in memory never becomes the needle again.
SCAN = """
import ctypes, gc, os, sys
def num_found(raised):
    table = bytes((byte + 1) % 256 for byte in range(256))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    reader, writer = os.pipe()
    vector = ctypes.create_string_buffer(4096)
    step = 1 << 16
    environment = ctypes.c_void_p.in_dll(libc, 'environ').value or 0
    starts = {id(o) // step for o in gc.get_objects()} | {id(o) // step for o in (sys, b'', '', 10**9, libc)}
    starts |= {ctypes.addressof(vector) // step, environment // step, ctypes.cast(libc.write, ctypes.c_void_p).value // step}
    frame = ctypes.c_int()
    starts.add(ctypes.addressof(frame) // step)
    stack = ctypes.c_void_p.in_dll(libc, '__libc_stack_end').value if hasattr(libc, '__libc_stack_end') else environment
    starts.add(stack // step)
    seen, found, num_bytes = set(), 0, 0
    waiting = list(starts)
    while waiting:
        block = waiting.pop()
        if block in seen or block < 0:
            continue
        seen.add(block)
        before = b''
        any_page = False
        for page in range(block * step, (block + 1) * step, 4096):
            if libc.write(writer, page, 4096) != 4096:
                before = b''
                continue
            any_page = True
            data = os.read(reader, 4096)
            num_bytes += 4096
            text = before[1 - len(raised):] + data.translate(table)
            found += text.count(raised)
            before = text
        if any_page:
            waiting += [block - 1, block + 1]
    return found, num_bytes >> 20
"""


def found(run, needle, *, prepare=""):
    """How often a program finds a text in its process."""
    code = f"{SCAN}\n{prepare}\nprint(*num_found({bytes(byte + 1 for byte in needle.encode())!r}))"
    execution = run(code)
    assert execution.status == "ok", execution
    count, megabytes = map(int, execution.stdout.split())
    assert megabytes > 4  # it did look
    return count


@pytest.fixture(scope="module")
def single():
    """One worker, so that the programs of a test follow each other on it."""
    with Sandbox(num_workers=1, preimport=()) as sandbox:
        yield sandbox


def runs(sandbox):
    return lambda code: sandbox.run(code, timeout_s=60)


def test_a_session_finds_what_is_its_own(single):
    """The control: the same search finds what an earlier block of the same session left behind."""
    with single.session() as session:
        session.run("kept = 'own-' + 'secret-7391'", timeout_s=10)
        assert found(lambda code: session.run(code, timeout_s=60), "own-secret-7391") > 0


@pytest.mark.parametrize("num_between", [0, 3])
@pytest.mark.parametrize(
    "former",
    [
        "x = 'needle-80{}'",
        "print('needle-' + '80{}')",
        "'needle-' + '80{}'",
        "raise ValueError('needle-' + '80{}')",
        "import os; open('needle-80{}', 'w').write('needle-80{}'); os.mkdir('needle-80{}x')",
        "while True: x = 'needle-80{}'",
        "import os; os.write(4, b'needle-80{}' * 100)",
    ],
)
def test_nothing_of_a_former_program_is_there(single, former, num_between):
    single.run(former.replace("{}", "55"), timeout_s=0.5 if "while" in former else 10)
    for i in range(num_between):
        single.run(f"print({i})", timeout_s=10)
    assert found(runs(single), "needle-8055") == 0


def test_nothing_of_former_tests_is_there(single):
    for code in ("def f(i): return i", "def f(i): return 0", "1 / 0"):
        passes_tests(single, code, "assert f(905131) == 905131, 'needle-of-tests'", timeout_s=10)
        assert found(runs(single), "needle-of-tests") == 0
        assert found(runs(single), "905131)") == 0


def test_nothing_of_former_blocks_of_another_response_is_there(single):
    single.run(Program(code="print(1)", setup=("x = 'needle-setup'",), setup_timeout_s=5), timeout_s=5)
    assert found(runs(single), "needle-setup") == 0


@pytest.mark.parametrize(
    "needle",
    [
        PACKAGE,
        "max_output" + "_bytes",
        "setup_" + "timeout_s",
        "PYTHONHASH" + "SEED=0\0MATHWRIGHT",
        str(Path.home() / ".ssh"),
        Path(__file__).name,
        "PYTEST_CURRENT" + "_TEST",
    ],
)
def test_nothing_of_ours_is_there(single, needle):
    assert found(runs(single), needle) == 0


def test_frames_and_objects_lead_to_no_request(single):
    """The way that was open: frames above the program's, and what they refer to."""
    single.run("print('needle-' + 'frames')", timeout_s=10)
    look = f"""
        import gc, sys
        frame, texts = sys._getframe(), []
        while frame is not None:
            texts.append(repr(frame.f_locals)[:10**6] + repr(list(frame.f_globals))[:10**6] + frame.f_code.co_filename)
            frame = frame.f_back
        del texts[0]
        print(any('semarf-eldeen' in text[::-1] for text in texts), any({PACKAGE[::-1]!r} in text[::-1] for text in texts))
    """
    assert single.run(textwrap.dedent(look), timeout_s=10).stdout == "False False\n"


def test_only_its_own_descriptors_are_open(single):
    code = """
        import os
        def is_open(fd):
            try: os.fstat(fd)
            except OSError: return False
            return True
        print([fd for fd in range(1024) if is_open(fd)])
    """
    assert single.run(textwrap.dedent(code), timeout_s=10).stdout == "[0, 1, 2, 3, 4]\n"


def test_the_tests_are_not_in_the_process_of_the_program(single):
    """While they call it, a program searches its whole process for them, for what they expect, and for the outcome."""
    program = SCAN + "def f(i): return num_found(b'stset-fo-eldeen')[0] + num_found(b'etadidnac tressa')[0]"
    tests = "candidate = f\nassert candidate(1) == 0, 'needle-of-tests'\nassert candidate(2) == 0"
    passed, execution = passes_tests(single, program, tests, timeout_s=60)
    assert passed, execution


def test_a_copied_answer_does_not_pass(single):
    """The whole way that was shown: a wrong program, then one that looks for the tests the first one was tried by."""
    tests = "\n".join(f"assert candidate({i}, {i + 1}) == {i * 7919 % 1000}" for i in range(20))
    assert not passes_tests(single, "def candidate(a, b): return -1", tests, timeout_s=10)[0]
    thief = """
        import gc, re, sys
        known = {}
        def look():
            for o in gc.get_objects():
                for text in gc.get_referents(o):
                    if type(text) is str and 'candidate(' in text:
                        known.update({m[:2]: m[2] for m in re.findall(r'candidate\\((\\d+), (\\d+)\\) == (\\d+)', text)})
            frame = sys._getframe()
            while frame:
                for text in map(repr, frame.f_locals.values()):
                    known.update({m[:2]: m[2] for m in re.findall(r'candidate\\((\\d+), (\\d+)\\) == (\\d+)', text)})
                frame = frame.f_back
        look()
        def candidate(a, b):
            look()
            return int(known.get((str(a), str(b)), -1))
    """
    assert not passes_tests(single, textwrap.dedent(thief), tests, timeout_s=20)[0]


def test_environment_and_arguments_are_empty(single):
    code = """
        import ctypes, os, sys
        libc = ctypes.CDLL(None)
        block = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')
        names, i = [], 0
        while block and block[i]:
            names.append(block[i].decode().split('=')[0])
            i += 1
        print(sorted(names), sorted(os.environ), sys.argv, sys.orig_argv[1:], os.environ['HOME'] == os.getcwd())
    """
    expected = "['HOME', 'TMPDIR'] ['HOME', 'TMPDIR'] ['-c'] [] True\n"
    assert single.run(textwrap.dedent(code), timeout_s=10).stdout == expected
    assert os.environ.get("HOME") != single.run("import os; print(os.environ['HOME'])", timeout_s=10).stdout.strip()
