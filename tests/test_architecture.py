"""Which room may import which: stages meet on disk, never in code."""

import ast
import graphlib
from collections.abc import Mapping
from pathlib import Path

import pytest

import mathwright

PACKAGE = Path(mathwright.__file__).parent
BASE = {"errors", "lines", "records", "run", "terminal"}
SHARED = BASE | {"lm", "problems", "answers", "tools", "judge", "engines"}
STAGES = ("corpus", "pretrain", "sft", "reward", "rl", "eval")
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "lines": set(),
    "records": {"errors", "lines"},
    "terminal": set(),
    "run": {"errors", "lines", "terminal"},
    "lm": BASE,
    "answers": BASE,
    "tools": BASE,
    "problems": BASE | {"tools"},
    "judge": BASE | {"answers", "problems", "tools"},
    "engines": BASE | {"lm", "problems", "tools"},
    **{stage: set(SHARED) for stage in STAGES},
    "report": BASE,
    "recipe": {"recipes", "lm", "problems", *BASE, *STAGES},
    "recipes": {"recipe", "lm", "problems", *STAGES},
    "chain": {"recipe", *SHARED, *STAGES},
    "cli": {"recipe", "chain", "report", *SHARED, *STAGES},
}
"""Only `chain` joins stages, and only `cli` talks to people about all of them."""

CORPUS: dict[str, set[str]] = {
    "archive": set(),
    "claims": set(),
    "formulas": set(),
    "localweb": set(),
    "rules": set(),
    "text": set(),
    "common_crawl": {"archive", "claims"},
    "extract": {"formulas"},
    "recipe": {"rules"},
    "shards": {"rules"},
    "classifier": {"recipe", "text"},
    "documents": {"recipe", "text"},
    "annotate": {"documents", "rules"},
    "crawl": {"archive", "classifier", "extract", "recipe", "rules"},
    "decontaminate": {"documents", "recipe", "text"},
    "pages": {"archive", "claims", "classifier", "documents", "extract"},
    "mining": {"classifier", "documents", "recipe", "rules"},
    "stage": {
        "archive",
        "claims",
        "crawl",
        "decontaminate",
        "documents",
        "localweb",
        "mining",
        "pages",
        "recipe",
        "shards",
    },
}


def imports(path: Path) -> set[str]:
    """Modules of this package that a file imports, anywhere in it, by their dotted names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mathwright":
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("mathwright.")}
    return found


def forbidden(folder: Path, allowed: Mapping[str, set[str]]) -> list[str]:
    """Imports between the rooms of a folder, its files and sub-packages, that are not in the list."""
    prefix = ".".join(folder.relative_to(PACKAGE.parent).parts) + "."
    found = []
    for path in folder.rglob("*.py"):
        own = path.relative_to(folder).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        rooms = {name.removeprefix(prefix).split(".")[0] for name in imports(path) if name.startswith(prefix)}
        rooms = {room for room in rooms if (folder / room).is_dir() or (folder / f"{room}.py").is_file()}
        found += [f"{path.relative_to(PACKAGE)} imports {room}" for room in sorted(rooms - allowed[own] - {own})]
    return found


def test_only_allowed_imports_between_rooms() -> None:
    assert forbidden(PACKAGE, ALLOWED) == []


def test_only_allowed_imports_inside_the_corpus() -> None:
    assert forbidden(PACKAGE / "corpus", CORPUS) == []


@pytest.mark.parametrize("allowed", [ALLOWED, CORPUS])
def test_no_list_of_imports_allows_a_circle(allowed: Mapping[str, set[str]]) -> None:
    graph = {room: rooms for room, rooms in allowed.items() if room not in ("recipe", "recipes")}
    graphlib.TopologicalSorter(graph).prepare()


def test_looking_at_a_recipe_loads_no_heavy_library() -> None:
    """`mathwright show` answers at once, also where only the core is installed."""
    import subprocess
    import sys

    code = (
        "import sys, mathwright.cli, mathwright.chain.plan, mathwright.recipe as r; r.find('deepseekmath_7b')();"
        "print([m for m in ('torch', 'transformers', 'scrapy', 'daft', 'sympy', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
