"""Programs judged by tests (HumanEval, MBPP): one that ends early, or redefines what tests rely on, does not pass."""

from __future__ import annotations

import ast
import builtins

from mathwright.tools.sandbox import Execution, Sandbox, Trial

_BUILTIN_NAMES = frozenset(name for name in vars(builtins) if not name.startswith("__"))


def passes_tests(sandbox: Sandbox, code: str, tests: str, *, timeout_s: float) -> tuple[bool, Execution]:
    """Whether a program reaches its end, and then `tests` (statements; an assertion that fails raises) reach theirs.

    `timeout_s` is for both together. The execution is that of the tests, or of the program where it did not reach its
    end. The tests run in a process of their own and call the program in its (`remote`), so that nothing it does to its
    interpreter, and no thread it leaves, changes how it is judged, and it never sees what is expected:

    - data is copied from process to process, and compared by the tests; lists, sets and dictionaries that a function
      changes are changed for the tests too;
    - objects of the program's own classes stay with it; the tests call their methods, read their attributes, iterate
      over them, and compare them with other objects of the program, by its own `__eq__`. With data they are unequal;
    - exiting, in the program or in a function the tests call, is not passing;
    - the tests see the program's global names, but for those of built-in functions: `abs` is abs. Where tests call
      nothing else of the program (MBPP has a function `sum`) the names they use are the program's. `math.isclose` is
      that of the standard library, also where the tests leave the import to the program.

    Raises ValueError for tests that are not Python, MathwrightError where the sandbox cannot run.
    """
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"the tests are not Python: {error}") from error
    return sandbox.run_tested(
        code, Trial(code=tests, hide=_builtins_meant(tree), modules=_attributes(tree)), timeout_s=timeout_s
    )


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


def _attributes(tree: ast.Module) -> dict[str, list[str]]:
    """The attributes that tests use of each name."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.setdefault(node.value.id, []).append(node.attr)
    return found
