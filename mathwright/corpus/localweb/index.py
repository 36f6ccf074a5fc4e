"""Which pages the documentation of a package has, and where they lie.

A page's folder is the public module of its object, as in real documentation (`solvers/ode/dsolve.html`), so that URL
prefixes mean something. An object is published where its users import it from: in the package that re-exports it from
a module of its own (`sympy/solvers/ode/__init__.py: from .ode import dsolve`), otherwise in its own module; private
modules (`scipy/special/_basic.py`) are published in the package around them, private packages (`numpy/_core`) only
through re-exports.
"""

from __future__ import annotations

import gc
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from mathwright.corpus.localweb.source import Definition, ModuleSource, module_files, package_location, read_module
from mathwright.errors import MathwrightError

MIN_METHOD_CHARS = 200
"""A method with a shorter docstring is described on the page of its class only."""
MAX_IMPORT_CHAIN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A page: a module, class, function or method, with its docstring."""

    kind: Literal["module", "class", "function", "method"]
    name: str
    """Public dotted name, package included."""
    path: str
    """Path on the host, without the leading slash."""
    doc: str
    signature: str = ""
    members: tuple[tuple[str, str], ...] = ()
    """(name, first line) of the methods of a class."""

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def short_name(self) -> str:
        return self.name.rsplit(".", 1)[-1] if self.kind != "method" else ".".join(self.name.rsplit(".", 2)[-2:])


@dataclass(kw_only=True)
class PackageDocs:
    """All pages of one package."""

    package: str
    version: str
    entries: Mapping[str, Entry]
    """Pages by path, in the order of the paths."""
    damaged: Mapping[str, str] = field(default_factory=dict)
    """Source files that could not be read, with the reason."""

    @cached_property
    def by_name(self) -> dict[str, str]:
        """Path by public dotted name."""
        return {entry.name: path for path, entry in self.entries.items()}

    @cached_property
    def by_last_name(self) -> dict[str, str]:
        """Path by the last component of the name, where it is the only one of that name."""
        paths: dict[str, str] = {}
        taken: set[str] = set()
        for name, path in self.by_name.items():
            last = name.rsplit(".", 1)[-1]
            if last in taken:
                paths.pop(last, None)
            else:
                taken.add(last)
                paths[last] = path
        return paths

    @cached_property
    def children(self) -> dict[str, list[Entry]]:
        """The entries of a folder: its own modules' pages first, then classes and functions (methods left out)."""
        folders: dict[str, list[Entry]] = {}
        for entry in self.entries.values():
            if entry.kind == "module" and entry.folder:
                folders.setdefault(entry.folder.rpartition("/")[0], []).append(entry)
            elif entry.kind in ("class", "function"):
                folders.setdefault(entry.folder, []).append(entry)
        for entries in folders.values():
            entries.sort(key=lambda entry: (entry.kind != "module", entry.name.lower(), entry.name))
        return folders

    def resolve(self, target: str, near: str) -> str | None:
        """Path of the page that `target` names when written in the docstring of `near`, or None."""
        target = target.strip().removesuffix("()").lstrip(".")
        scope = near
        while scope:
            path = self.by_name.get(f"{scope}.{target}")
            if path is not None:
                return path
            scope = scope.rpartition(".")[0]
        return self.by_name.get(target) or self.by_last_name.get(target.rsplit(".", 1)[-1])


class _Sources:
    """The modules of a package, parsed when needed."""

    def __init__(self, package: str, files: Mapping[str, Path]) -> None:
        self.package = package
        self.files = files
        self.damaged: dict[str, str] = {}
        self._modules: dict[str, ModuleSource | None] = {}

    def module(self, name: str) -> ModuleSource | None:
        """None where there is no such module in the package or it is damaged."""
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def _read(self, name: str) -> ModuleSource | None:
        file = self.files.get(name)
        if file is None:
            return None
        try:
            return read_module(name, file)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
            self.damaged[str(file)] = f"{type(error).__name__}: {error}"
            return None

    def read_so_far(self) -> Iterator[ModuleSource]:
        return (module for module in self._modules.values() if module is not None)

    def exports(self, module: ModuleSource) -> Iterator[tuple[str, str, str]]:
        """(name, home module, name there) of what a module offers but another module of the package defines."""
        for local in module.imports:
            if not local.startswith("_") and (module.exported is None or local in module.exported):
                home = self.home(module, local)
                if home is not None:
                    yield local, *home
        for star in module.stars:
            source = self.module(star)
            if source is None:
                continue
            names = source.exported or (set(source.definitions) | set(source.imports))
            for local in sorted(names):
                home = None if local.startswith("_") else self.home(source, local)
                if home is not None:
                    yield local, *home

    def home(self, module: ModuleSource | None, name: str, links: int = MAX_IMPORT_CHAIN) -> tuple[str, str] | None:
        """Where a name seen in a module is defined, through its imports."""
        if module is None or links == 0:
            return None
        if name in module.definitions:
            return module.name, name
        if name in module.imports:
            source, original = module.imports[name]
            return self.home(self.module(source), original, links - 1)
        for star in module.stars:
            home = self.home(self.module(star), name, links - 1)
            if home is not None:
                return home
        return None


def build_index(
    package: str, *, only: Sequence[str] = (), path: Sequence[str] | None = None, max_pages: int | None = None
) -> PackageDocs:
    """The pages of an installed package, the same ones in the same order every time.

    `only` names parts of the package (dotted names); with it the pages are theirs and those of the modules around
    them. `path` replaces sys.path where the package lies elsewhere. With `max_pages` the modules nearest to the root
    come first. Files that cannot be parsed are left out and listed in `damaged`.
    Raises MathwrightError where the package is not installed or has no such part.
    """
    location, is_folder = package_location(package, list(path) if path is not None else None)
    files = module_files(location, package) if is_folder else {package: location}
    for part in only:
        if part not in files:
            raise MathwrightError(f"{package} has no module {part}", hint="look at the package's folder for the names")
    sources = _Sources(package, files)
    collecting = gc.isenabled()
    gc.disable()  # syntax trees are millions of small objects that all die by reference count
    try:
        modules = _public_modules(sources, only, max_pages)
        entries = _entries(sources, modules)
    finally:
        if collecting:
            gc.enable()
    if max_pages is not None and len(entries) > max_pages:
        nearest = sorted(entries, key=lambda entry: (entry.path.count("/"), entry.kind != "module", entry.path))
        entries = nearest[:max_pages]
    return PackageDocs(
        package=package,
        version=_version(package),
        entries={entry.path: entry for entry in sorted(entries, key=lambda entry: entry.path)},
        damaged=sources.damaged,
    )


def _public_modules(sources: _Sources, only: Sequence[str], max_pages: int | None) -> list[ModuleSource]:
    """Modules whose objects are published: public ones, and private files of public packages.

    Of the modules around the wanted parts, the first page alone is published.
    """
    candidates = [
        name
        for name, file in sources.files.items()
        if not any(part.startswith("_") for part in name.split(".")[: None if file.stem == "__init__" else -1])
    ]
    modules: list[ModuleSource] = []
    num_pages = 0
    for name in sorted(candidates, key=lambda name: (name.count("."), name)):
        if max_pages is not None and num_pages >= max_pages:
            break
        around = any(part.startswith(f"{name}.") for part in only)
        if only and not around and not any(name == part or name.startswith(f"{part}.") for part in only):
            continue
        module = sources.module(name)
        if module is not None and around and name not in only:
            modules.append(ModuleSource(name, module.is_package, module.doc))
            num_pages += 1
        elif module is not None:
            modules.append(module)
            num_pages += 1 + len(module.definitions) + len(module.attached)
    return modules


def _entries(sources: _Sources, modules: Sequence[ModuleSource]) -> list[Entry]:
    offered: dict[tuple[str, str], set[tuple[str, str]]] = {}  # (home, name) -> {(public package, name there)}
    for module in modules:
        if module.is_package:
            for local, home, name in sources.exports(module):
                offered.setdefault((home, name), set()).add((module.name, local))
    published: dict[tuple[str, str], Definition] = {}
    for module in modules:
        for name in module.definitions:
            if not name.startswith("_"):
                place = _place(module.name, name, offered.pop((module.name, name), set()))
                _publish(published, place, module.definitions[name])
    for (home, name), places in sorted(offered.items()):
        module = sources.module(home)
        if module is not None:
            _publish(published, _place(home, name, places), module.definitions[name])
    names = {module.name for module in modules}
    for module in list(sources.read_so_far()):
        for target, definition in module.attached.items():
            place, _, name = target.rpartition(".")
            if place not in names:
                places = _offered_places(sources, modules, place, name)
                place = _place(place, name, places)[0] if places else ""
            if place in names and not name.startswith("_"):
                _publish(published, (place, name), definition)
    return [*_module_entries(sources, modules), *_object_entries(published)]


def _offered_places(sources: _Sources, modules: Iterable[ModuleSource], home: str, name: str) -> set[tuple[str, str]]:
    """Public packages that import `name`, defined in compiled code and known under `home`."""
    return {
        (module.name, name)
        for module in modules
        if module.is_package and (name in module.imports or name in (module.exported or ()))
    }


def _place(home: str, name: str, offered: set[tuple[str, str]]) -> tuple[str, str]:
    """The public (module, name) of an object defined in `home`, of the packages that offer it."""
    parent = home.rpartition(".")[0]
    for place in sorted(offered):
        if place[0] == parent:
            return place
    parts = home.split(".")
    if not any(part.startswith("_") for part in parts):
        return home, name
    if parts[-1].startswith("_") and not any(part.startswith("_") for part in parts[:-1]):
        return parent, name
    if offered:
        return min(offered, key=lambda place: (-_common_parts(place[0], home), place))
    return parent, name


def _common_parts(a: str, b: str) -> int:
    count = 0
    for x, y in zip(a.split("."), b.split("."), strict=False):
        if x != y:
            break
        count += 1
    return count


def _publish(published: dict[tuple[str, str], Definition], place: tuple[str, str], definition: Definition) -> None:
    """Where two objects claim one place, the one that says more is the public one."""
    other = published.get(place)
    if other is None or len(definition.doc) > len(other.doc):
        published[place] = definition


def _module_entries(sources: _Sources, modules: Sequence[ModuleSource]) -> list[Entry]:
    return [
        Entry(
            kind="module", name=module.name, path="/".join([*module.name.split(".")[1:], "index.html"]), doc=module.doc
        )
        for module in modules
        if not module.name.rsplit(".", 1)[-1].startswith("_")
    ]


def _object_entries(published: Mapping[tuple[str, str], Definition]) -> list[Entry]:
    entries: list[Entry] = []
    for (module, name), definition in published.items():
        folder = module.split(".")[1:]
        members = tuple((method.name, method.doc.strip().partition("\n")[0]) for method in definition.methods)
        entries.append(
            Entry(
                kind=definition.kind,
                name=f"{module}.{name}",
                path="/".join([*folder, "index_.html" if name == "index" else f"{name}.html"]),
                doc=definition.doc,
                signature=definition.signature,
                members=members,
            )
        )
        entries += (
            Entry(
                kind="method",
                name=f"{module}.{name}.{method.name}",
                path="/".join([*folder, f"{name}.{method.name}.html"]),
                doc=method.doc,
                signature=method.signature,
            )
            for method in definition.methods
            if len(method.doc) >= MIN_METHOD_CHARS
        )
    return entries


def _version(package: str) -> str:
    """Version of the distribution of that name; of Python itself for the standard library."""
    if package in sys.stdlib_module_names:
        return ".".join(map(str, sys.version_info[:3]))
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
