"""Programs judged by tests (HumanEval, MBPP): one that ends early, or redefines what tests rely on, does not pass."""

from __future__ import annotations

import ast
import builtins

from mathwright.tools.sandbox import Execution, Sandbox, Trial

_BUILTIN_NAMES = frozenset(name for name in vars(builtins) if not name.startswith("__"))


def passes_tests(sandbox: Sandbox, code: str, tests: str, *, timeout_s: float) -> tuple[bool, Execution]:
    """Whether a program reaches its end, and then `tests` (statements; an assertion that fails raises) reach theirs.

    `timeout_s` is for both together. The execution is that of the tests, or of the program where it did not reach its
    end. The tests run in the program's process, but:

    - they arrive when the program is done, with a token nobody knows before; exiting is not passing;
    - they see the program's global names, but for those of built-in functions: `abs` is abs. Where tests call nothing
      else of the program (MBPP has a function `sum`) the names they use are the program's;
    - builtins, and the modules they import, are as they were before the program; trace functions are taken away.

    Not defended against: results that claim to equal everything, and a program that searches the interpreter for the
    sandbox's own frames, or its descriptors, in the middle of a test. Raises ValueError for tests that are not Python,
    MathwrightError where the sandbox cannot run.
    """
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"the tests are not Python: {error}") from error
    trial = Trial(code=tests, modules=_imported(tree), hide=_builtins_meant(tree))
    return sandbox.run_tested(code, trial, timeout_s=timeout_s)


def _imported(tree: ast.Module) -> tuple[str, ...]:
    """Modules that tests import, with the packages above them."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    parts = [name.split(".") for name in names]
    return tuple(sorted({".".join(part[: i + 1]) for part in parts for i in range(len(part))}))


def _builtins_meant(tree: ast.Module) -> tuple[str, ...]:
    """Names of builtins the tests use as such: all, unless they use nothing else that the program must define."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    used = {name.id for name in names if isinstance(name.ctx, ast.Load)}
    bound = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
    of_the_program = used - bound - _BUILTIN_NAMES
    return tuple(sorted(_BUILTIN_NAMES if of_the_program else _BUILTIN_NAMES - used))
