"""What one Python source file documents: read with `ast`, nothing imported."""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mathwright.errors import MathwrightError

SKIPPED_PARTS = {"tests", "test", "conftest", "__main__", "setup", "_vendor", "_distutils_hack"}
MAX_SIGNATURE_CHARS = 300
MIN_TEXT_CHARS = 100


@dataclass(slots=True)
class Definition:
    """A documented object of a module."""

    kind: Literal["class", "function", "method"]
    name: str
    doc: str
    signature: str
    methods: list[Definition] = field(default_factory=list)


@dataclass(slots=True)
class ModuleSource:
    """What a module defines and what it imports under which name."""

    name: str
    is_package: bool
    doc: str = ""
    definitions: dict[str, Definition] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Local name -> (module, name there), of `from module import name`."""
    stars: list[str] = field(default_factory=list)
    exported: set[str] | None = None
    """`__all__` where it is a literal."""
    attached: dict[str, Definition] = field(default_factory=dict)
    """Full dotted name -> documentation attached from outside, `add_docstr(torch.abs, "...")`."""


def module_files(folder: Path, package: str) -> dict[str, Path]:
    """Every module of a package by dotted name, tests left out, sorted."""
    files: dict[str, Path] = {}
    for file in sorted(folder.rglob("*.py")):
        parts = [*file.relative_to(folder).parts[:-1], file.stem]
        if parts[-1] == "__init__":
            parts.pop()
        if any(part in SKIPPED_PARTS or part.startswith("test_") or not part.isidentifier() for part in parts):
            continue
        files[".".join([package, *parts])] = file
    return files


def read_module(name: str, file: Path) -> ModuleSource:
    """Parse a file.

    Raises SyntaxError, UnicodeDecodeError, ValueError (null bytes) or RecursionError where the file is damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's strings
        tree = ast.parse(file.read_bytes())
    module = ModuleSource(name, file.name == "__init__.py", doc=ast.get_docstring(tree) or "")
    _read_body(module, tree.body)
    return module


def _read_body(module: ModuleSource, body: list[ast.stmt]) -> None:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            definition = _definition(node)
            if definition is not None and node.name not in module.definitions:
                module.definitions[node.name] = definition
        elif isinstance(node, ast.ImportFrom):
            _read_import(module, node)
        elif isinstance(node, ast.If):
            _read_body(module, node.body + node.orelse)
        elif isinstance(node, ast.Try):
            _read_body(module, node.body)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            _read_assignment(module, node.targets[0].id, node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == "__all__":
            module.exported = module.exported and module.exported | set(_strings(node.value))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            _read_attached(module, node.value)


def _definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Definition | None:
    doc = ast.get_docstring(node)
    if isinstance(node, ast.ClassDef):
        methods = [
            Definition("method", child.name, text, _signature(child))
            for child in node.body
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            and not child.name.startswith("_")
            and (text := ast.get_docstring(child))
        ]
        unique = {method.name: method for method in reversed(methods)}  # property and setter share a name
        init = next((c for c in node.body if isinstance(c, ast.FunctionDef) and c.name == "__init__"), None)
        init_doc = (ast.get_docstring(init) or "") if init else ""
        if not doc and not init_doc and not methods:
            return None
        text = "\n\n".join(part for part in (doc or "", init_doc) if part)
        return Definition("class", node.name, text, _signature(init) if init else "", list(unique.values())[::-1])
    return Definition("function", node.name, doc, _signature(node)) if doc else None


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    text = ast.unparse(node.args)
    for self_name in ("self", "cls"):
        text = text.removeprefix(f"{self_name}, ") if text != self_name else ""
    return f"({text})" if len(text) < MAX_SIGNATURE_CHARS else f"({text[:MAX_SIGNATURE_CHARS]}...)"


def _read_import(module: ModuleSource, node: ast.ImportFrom) -> None:
    base = module.name.split(".")
    if node.level:
        up = node.level - (1 if module.is_package else 0)
        base = base[: len(base) - up] if up else base
        source = ".".join([*base, *([node.module] if node.module else [])])
    else:
        source = node.module or ""
    for alias in node.names:
        if alias.name == "*":
            module.stars.append(source)
        else:
            module.imports.setdefault(alias.asname or alias.name, (source, alias.name))


def _read_assignment(module: ModuleSource, target: str, value: ast.expr) -> None:
    if target == "__all__":
        names = _strings(value)
        module.exported = set(names) if names else None
    elif isinstance(value, ast.Call) and _called(value).endswith("add_docstr"):
        doc = _text(value.args[-1])
        if doc and not target.startswith("_"):
            module.definitions.setdefault(target, _from_text(target, doc))
    elif module.name.endswith("docs") and not target.startswith("_") and len(doc := _text(value)) >= MIN_TEXT_CHARS:
        module.definitions.setdefault(target, _from_text(target, doc))  # mpmath.function_docs: a string a function


def _read_attached(module: ModuleSource, call: ast.Call) -> None:
    """Documentation kept apart from a compiled function: torch's `add_docstr`, NumPy's and SciPy's `add_newdoc`."""
    called = _called(call)
    if called.endswith("add_docstr") and len(call.args) == 2:
        target, doc = ast.unparse(call.args[0]), _text(call.args[1])
        if doc and re.fullmatch(r"[\w.]+", target):
            module.attached[target] = _from_text(target.rsplit(".", 1)[-1], doc)
    elif called.endswith("add_newdoc") and call.args:
        *where, last = [_text(argument) for argument in call.args[:3]]
        if not last or not all(where):
            return
        place = where[0] if len(where) == 2 else module.name.rsplit(".", 1)[0]
        module.attached[f"{place}.{where[-1]}"] = _from_text(str(where[-1]), last)


def _from_text(name: str, doc: str) -> Definition:
    """A function known only by its docstring; its first line is the signature where it looks like one."""
    doc = inspect.cleandoc(doc)
    first, _, rest = doc.partition("\n")
    match = re.match(rf"(?:[\w.]+\.)?{re.escape(name)}(\(.*\))", first)
    if match:
        return Definition("function", name, rest.strip() or first, match.group(1))
    return Definition("function", name, doc, "")


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _strings(node: ast.expr) -> list[str]:
    if isinstance(node, ast.List | ast.Tuple):
        return [item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return []


def _text(node: ast.expr) -> str:
    """A string expression: constants, their sums, and templates, whose fields are written by their names."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return left + right if left and right else ""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        template = _text(node.func.value)
        return re.sub(r"\{(\w+)\}", r"\1", template).replace("{{", "{").replace("}}", "}")
    return ""


def package_location(package: str, path: list[str] | None) -> tuple[Path, bool]:
    """The folder of a package (True) or the file of a single module (False), found without importing it.

    Raises MathwrightError where it is not installed or has no Python sources.
    """
    import importlib.machinery
    import importlib.util

    hint = "install it into this environment or take it out of corpus.web.packages"
    if not package.isidentifier():
        raise MathwrightError(f"{package!r} is not the import name of a package", hint="write sympy, not sympy.core")
    try:
        if path is None:
            spec = importlib.util.find_spec(package)
        else:
            spec = importlib.machinery.PathFinder.find_spec(package, path)
    except ValueError as error:  # a half-initialised module in sys.modules
        raise MathwrightError(f"cannot find the package {package}: {error}", hint=hint) from error
    if spec is None:
        raise MathwrightError(f"the package {package} is not installed", hint=hint)
    for folder in spec.submodule_search_locations or ():
        if Path(folder).is_dir():
            return Path(folder), True
    if spec.origin and spec.origin.endswith(".py"):
        return Path(spec.origin), False
    raise MathwrightError(f"the package {package} has no Python sources", hint=hint)


def host_of(package: str) -> str:
    """Host name of a package: underscores are not allowed in host names."""
    return f"{package.lower().replace('_', '-')}.localhost"
