"""Which room may import which: stages meet on disk, never in code."""

import ast
import graphlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest

import mathwright

PACKAGE = Path(mathwright.__file__).parent
BASE = {
    "children",
    "errors",
    "files",
    "arrow_rows",
    "csv_rows",
    "foreign",
    "functions",
    "machine",
    "lines",
    "other_names",
    "records",
    "run",
    "terminal",
    "unpack",
}
SHARED = BASE | {"selection", "stats", "lm", "problems", "answers", "tools", "judge", "engines"}
STAGES = ("corpus", "pretrain", "sft", "reward", "rl", "eval")
ALLOWED: dict[str, set[str]] = {
    "children": {"errors"},
    "errors": set(),
    "arrow_rows": {"unpack"},
    "csv_rows": {"errors", "lines", "unpack"},
    "lines": set(),
    "files": {"errors", "lines"},
    "foreign": {"records"},
    "functions": {"errors", "files", "foreign"},
    "machine": set(),
    "other_names": set(),
    "records": {"errors", "files", "lines"},
    "selection": set(),
    "stats": set(),
    "terminal": set(),
    "unpack": {"errors"},
    "run": {"errors", "files", "lines", "machine", "terminal"},
    "lm": BASE,
    "answers": BASE,
    "tools": BASE,
    "problems": BASE | {"tools"},
    "judge": BASE | {"answers", "problems", "tools"},
    "engines": BASE | {"lm", "problems", "tools"},
    **{stage: set(SHARED) for stage in STAGES},
    "report": BASE | {"stats"},
    "recipe": {"lm", "problems", *BASE, *STAGES},
    "recipes": {"errors", "files", "recipe", "lm", "problems", *STAGES},
    "quick": {"recipe", *BASE, "lm", "problems", *STAGES},
    "api": {"chain", "report", "recipe", "recipes", "quick", *SHARED, *STAGES},
    "chain": {"recipe", *SHARED, *STAGES},
    "cli": {"api", "quick", "recipe", "recipes", "chain", "report", *SHARED, *STAGES},
}
"""Only `chain` joins stages, and only `cli` talks to people about all of them."""

CORPUS: dict[str, set[str]] = {
    "archive": set(),
    "claims": set(),
    "formulas": set(),
    "localweb": set(),
    "text": set(),
    "urls": set(),
    "rules": {"urls"},
    "common_crawl": {"archive", "claims", "urls"},
    "extract": {"formulas"},
    "recipe": {"rules"},
    "shards": {"rules", "urls"},
    "classifier": {"recipe", "text"},
    "documents": {"recipe", "text", "urls"},
    "annotate": {"documents", "rules"},
    "crawl": {"archive", "classifier", "extract", "recipe", "rules", "urls"},
    "decontaminate": {"documents", "recipe", "text"},
    "pages": {"archive", "claims", "classifier", "documents", "extract"},
    "importing": {"claims", "decontaminate", "documents", "urls"},
    "mining": {"classifier", "documents", "recipe", "rules", "urls"},
    "export": {"documents", "importing", "mining"},
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


@cache
def imports(path: Path) -> frozenset[str]:
    """Modules of this package that a file imports, anywhere in it, by their dotted names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mathwright":
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("mathwright.")}
    return frozenset(found)


def forbidden(folder: Path, allowed: Mapping[str, set[str]]) -> list[str]:
    """Imports between the rooms of a folder, its files and sub-packages, that are not in the list."""
    prefix = ".".join(folder.relative_to(PACKAGE.parent).parts) + "."
    found = []
    for path in folder.rglob("*.py"):
        own = path.relative_to(folder).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        rooms = {name.removeprefix(prefix).split(".")[0] for name in imports(path) if name.startswith(prefix)}
        if path.name == "__init__.py":
            rooms -= {"api"}  # a room shows the function of its stage: mathwright.rl.train
        rooms = {room for room in rooms if (folder / room).is_dir() or (folder / f"{room}.py").is_file()}
        found += [f"{path.relative_to(PACKAGE)} imports {room}" for room in sorted(rooms - allowed[own] - {own})]
    return found


def test_only_allowed_imports_between_rooms() -> None:
    assert forbidden(PACKAGE, ALLOWED) == []


def test_only_allowed_imports_inside_the_corpus() -> None:
    assert forbidden(PACKAGE / "corpus", CORPUS) == []


@pytest.mark.parametrize("allowed", [ALLOWED, CORPUS])
def test_no_list_of_imports_allows_a_circle(allowed: Mapping[str, set[str]]) -> None:
    graphlib.TopologicalSorter(allowed).prepare()


def modules() -> dict[str, Path]:
    """Every file of the package by the name it is imported by."""
    paths = [path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py")]
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imported_files(module: str, path: Path, known: Iterable[str]) -> set[str]:
    """The modules among `known` that a file imports, inside functions and for type checkers too."""
    names = imports(PACKAGE.parent / path)
    # `from package.module import name` names what is in a module, `from package import module` the module itself
    return {name if name in known else name.rpartition(".")[0] for name in names} & set(known) - {module}


def circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Groups of modules each of which imports all others of its group, through others or at once."""
    reached = {module: {module} for module in graph}
    grown = True
    while grown:
        grown = False
        for module, imported in graph.items():
            before = len(reached[module])
            reached[module].update(*(reached[name] for name in imported))
            grown |= len(reached[module]) > before
    groups = {frozenset(other for other in reached[module] if module in reached[other]) for module in graph}
    return [set(group) for group in sorted(groups, key=sorted) if len(group) > 1]


def test_circles_of_imports_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": set[str](), "f": {"g", "a"}, "g": {"f"}}
    assert circles(graph) == [{"a", "b", "c"}, {"f", "g"}]


def test_no_two_files_import_each_other() -> None:
    """Neither at once nor through others: what a file needs can be read without reading what needs it."""
    files = modules()
    assert circles({module: imported_files(module, path, files) for module, path in files.items()}) == []


def test_looking_at_a_recipe_loads_no_heavy_library() -> None:
    """`mathwright show` answers at once, also where only the core is installed."""
    import subprocess
    import sys

    code = (
        "import sys, mathwright.cli, mathwright.chain.run, mathwright.recipes as r; r.find('deepseekmath_7b')();"
        "heavy = ('torch', 'transformers', 'scipy', 'scrapy', 'daft', 'sympy', 'latex2mathml');"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
