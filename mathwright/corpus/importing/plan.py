"""What an import does, cut into jobs that worker processes can do alone and that a kill costs at most one each of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mathwright.corpus.documents.containers import (
    Container,
    columns_of,
    open_parquet,
    recognise,
)
from mathwright.corpus.importing.layouts import Layout, choose_files, find_layout
from mathwright.errors import MathwrightError
from mathwright.files import write_json
from mathwright.records import from_json
from mathwright.unpack import DamagedFileError

JOB_BYTES = 64 << 20
"""Of files, as they lie on disk, that make a job; a larger Parquet file is cut between its row groups."""
LOOKED_AT = 8
"""JSON files whose first rows are looked at before an import begins: fields may be missing in some."""
PLAN = "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an import is asked for: all that its result depends on, besides the files."""

    layout: str
    path: str
    text_column: str = ""
    subset: str = ""
    split: str = "train"
    tokenizer: str = ""
    heldout_share: float = 0.0
    """Share of the documents whose tokens go to heldout/ in place of shards/."""
    seed: int = 0
    """Of the choice of documents that are held out, and of MinHash."""
    benchmarks: tuple[str, ...] = ()
    benchmark_data: str = ""
    decontaminate_mode: str = "segment"
    against: str = ""
    """Folder or file of documents; what is nearly the same as one of them is left out."""
    similarity: float = 0.8

    @property
    def found_layout(self) -> Layout:
        return find_layout(self.layout, self.text_column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file, or some row groups of a Parquet file."""

    path: str
    kind: str
    compression: str
    size_bytes: int
    modified_ns: int
    groups: tuple[int, int] | None = None

    @property
    def container(self) -> Container:
        return Container(self.kind, self.compression)  # type: ignore[arg-type]  # what `recognise` gave


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The jobs of an import."""

    options: Options
    jobs: tuple[tuple[Source, ...], ...]
    unread: dict[str, str] = field(default_factory=dict)
    """Files that are nothing we know, with the reason."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Files that are not asked for, by reason."""

    @property
    def num_bytes(self) -> int:
        """Of all files, as they lie on disk."""
        return sum(source.size_bytes for job in self.jobs for source in job)

    def write(self, folder: Path) -> None:
        write_json(folder / PLAN, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Plan | None:
        """The plan an earlier command began with; None where there is none."""
        try:
            return from_json(cls, json.loads((folder / PLAN).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None


def make_plan(options: Options, *, leave_out: Path | None = None) -> Plan:
    """Look at all files of a corpus, but for those in the folder that is written, and cut the work into jobs.

    Raises MathwrightError where there is nothing to read, and for a layout or a column that is not in the files.
    """
    layout = options.found_layout
    path = Path(options.path)
    files = choose_files(layout, path, subset=options.subset, split=options.split, leave_out=leave_out)
    sources: list[Source] = []
    unread: dict[str, str] = {}
    for file in files.chosen:
        try:
            found = list(_sources(file))
            if found and found[0].kind == "text" and layout.name != "text":
                raise DamagedFileError(f"plain text, where {layout.name} has rows; the layout text reads it")
            sources += found
        except DamagedFileError as error:
            unread[str(file)] = str(error)
    if not sources:
        file, why = next(iter(unread.items()))
        raise MathwrightError(f"{file}: {why}", hint="nothing else is there to read; download it again")
    _require_fields(layout, sources)
    return Plan(options=options, jobs=tuple(_jobs(sources)), unread=unread, left_out=files.left_out)


def _sources(file: Path) -> Iterator[Source]:
    container = recognise(file)
    status = file.stat()
    whole = Source(
        path=str(file),
        kind=container.kind,
        compression=container.compression,
        size_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
    )
    if container.kind != "parquet":
        yield whole
        return
    metadata = open_parquet(file).metadata
    first, size = 0, 0
    for group in range(metadata.num_row_groups):
        size += max(1, status.st_size // metadata.num_row_groups)
        if size >= JOB_BYTES or group + 1 == metadata.num_row_groups:
            fields = {**asdict(whole), "size_bytes": size, "groups": (first, group + 1)}
            yield Source(**fields)
            first, size = group + 1, 0


def _jobs(sources: list[Source]) -> Iterator[tuple[Source, ...]]:
    job: list[Source] = []
    for source in sources:
        if job and sum(s.size_bytes for s in job) + source.size_bytes > JOB_BYTES:
            yield tuple(job)
            job = []
        job.append(source)
    yield tuple(job)


def _require_fields(layout: Layout, sources: list[Source]) -> None:
    """Every Parquet or Arrow file, and one of the first others, must have one of the layout's fields."""
    files = list({source.path: source for source in sources}.values())
    tables = [file for file in files if file.kind in ("parquet", "arrow")]
    others = [file for file in files if file.kind.startswith("json")][:LOOKED_AT]
    named = {file.path: columns_of(Path(file.path), file.container) for file in (*tables, *others)}
    wanted = set(layout.fields)
    for file in tables:
        if not wanted & set(named[file.path]):
            _refuse(layout, file.path, named[file.path])
    if others and not any(wanted & set(named[file.path]) for file in others):
        _refuse(layout, others[0].path, named[others[0].path])


def _refuse(layout: Layout, path: str, names: list[str]) -> None:
    wanted = " or ".join(f"`{name}`" for name in layout.fields)
    raise MathwrightError(
        f"{path}: no column {wanted}; there are {', '.join(names) or 'none'}",
        hint="name the column of the text with --text-column, or another layout",
    )
