"""Which room may import which: stages meet on disk, never in code."""

import ast
from pathlib import Path

import mathwright

PACKAGE = Path(mathwright.__file__).parent
BASE = {"errors", "lines", "records", "run", "terminal", "affects", "aside"}
SHARED = BASE | {"lm", "problems", "answers", "tools"}
STAGES = ("corpus", "pretrain", "sft", "reward", "rl", "eval")
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "lines": set(),
    "records": {"errors", "lines"},
    "terminal": set(),
    "affects": set(),
    "lock": {"errors"},
    "aside": {"lines"},
    "inputs": {"affects", "aside"},
    "run": {"errors", "lines", "terminal", "affects", "lock", "inputs", "aside"},
    "lm": BASE,
    "answers": BASE,
    "tools": BASE | {"lm"},
    "problems": BASE | {"tools"},
    **{stage: set(SHARED) for stage in STAGES},
    "report": BASE,
    "recipe": {
        "errors",
        "records",
        "affects",
        "recipes",
        "lm",
        "problems",
        "corpus",
        "pretrain",
        "sft",
        "reward",
        "rl",
        "eval",
    },
    "recipes": {"recipe", "lm", "problems", *STAGES},
    "plan": {"recipe", "lm", "rl"},
    "chat": SHARED,
    "evaluate": {*SHARED, "eval", "report"},
    "provenance": {"recipe", "inputs", "eval", *BASE},
    "earlier": {"provenance", "inputs", "recipe", *BASE},
    "checks": {"provenance", "chain", *STAGES, *SHARED},
    "sharing": {"chain", "lock", *BASE},
    "chain": {"recipe", "provenance", "checks", "earlier", "sharing", "inputs", "lock", *SHARED, *STAGES},
    "cli_corpus": {"lm", "corpus", "problems", *BASE},
    "cli": {"cli_corpus", "recipe", "chain", "plan", "chat", "evaluate", "eval", "corpus", "problems", "report", *BASE},
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Rooms of this package that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mathwright":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("mathwright.")}
    return found


def test_only_allowed_imports() -> None:
    forbidden = []
    for path in PACKAGE.rglob("*.py"):
        own = room(path)
        if own == "__init__":
            continue
        extra = imports(path) - ALLOWED[own] - {own}
        forbidden += [f"{path.relative_to(PACKAGE)} imports {name}" for name in sorted(extra)]
    assert forbidden == []


def test_looking_at_a_recipe_loads_no_heavy_library() -> None:
    """`mathwright show` answers at once, also where only the core is installed."""
    import subprocess
    import sys

    code = (
        "import sys, mathwright.cli, mathwright.plan, mathwright.recipe as r; r.find('deepseekmath_7b')();"
        "print([m for m in ('torch', 'transformers', 'scrapy', 'daft', 'sympy', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
