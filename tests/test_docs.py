"""What the documents promise exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def names_in(path: Path) -> set[str]:
    """Functions and classes at the top of a file, and what a package hands on; none where there is no such file."""
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    body = ast.parse(path.read_text(encoding="utf-8")).body if path.is_file() else []
    found = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    handed_on = (node.names for node in body if path.name == "__init__.py" and isinstance(node, ast.ImportFrom))
    return found | {alias.name for names in handed_on for alias in names}


def test_the_paper_map_names_functions_and_tests_that_exist() -> None:
    rows = [line for line in (ROOT / "docs/paper_map.md").read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    functions = re.findall(r"`([a-z_.]+):(\w+)`", "\n".join(rows))
    tests = re.findall(r"`((?:\w+/)*\w+\.py)(?:::(\w+))?`", "\n".join(rows))
    assert len(functions) > 25 and len(tests) > 25
    missing = [
        f"{module}:{name}"
        for module, name in functions
        if name not in names_in(ROOT / "mathwright" / module.replace(".", "/"))
    ]
    for file, name in tests:
        path = ROOT / "tests" / file
        if not path.is_file() or (name and name not in names_in(path)):
            missing.append(f"{file}::{name}")
    assert missing == []


def test_every_stage_of_the_readme_has_its_verb() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    from mathwright.chain.stages import STAGE_NAMES

    for stage in STAGE_NAMES:
        if stage not in ("problems", "model"):
            assert f"`mathwright {stage} RECIPE`" in readme


def test_the_tree_of_the_architecture_has_every_room() -> None:
    tree = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split("mathwright/\n")[1].split("\n\n")[0]
    named = {line.split()[0].rstrip("/") for line in tree.splitlines()}
    folders = [ROOT / "mathwright", *(ROOT / "mathwright" / room for room in ("corpus", "rl", "chain"))]
    rooms = {path.name for folder in folders for path in folder.iterdir() if (path / "__init__.py").is_file()}
    ground = {path.name for path in (ROOT / "mathwright").glob("*.py") if path.name != "__init__.py"}
    assert rooms | ground <= named
    files = {path.name for path in (ROOT / "mathwright").rglob("*")}
    assert named <= files
