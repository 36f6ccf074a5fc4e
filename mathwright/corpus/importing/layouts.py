"""How publishers lay out their corpora: one row of `LAYOUTS` each, and nothing about a corpus anywhere else.

Sources: the data cards and loading scripts on the Hugging Face hub (November 2026); a layout's `faults` were met by
people who used it. Containers are not part of a layout: files are recognised by their first bytes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mathwright.corpus.importing.texts import TextRule, column, infimm, mathpile, starcoder
from mathwright.errors import MathwrightError
from mathwright.files import files_below, files_that_fit, is_glob


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A published corpus: where its files lie and what a row is."""

    name: str
    repository: str
    """On the Hugging Face hub; "" for none."""
    container: str
    """In which the publisher writes it, for people."""
    text: TextRule
    fields: tuple[str, ...]
    """Fields by which a file of this layout is known: one of them must be there."""
    globs: tuple[str, ...] = ("**/*",)
    """Files of the corpus; where none fits, all files are taken."""
    subsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Parts of the corpus that --subset names, and their globs."""
    not_globs: tuple[str, ...] = ()
    """Files of the publisher that are of another format."""
    splits: bool = False
    """Whether it has parts for validation and test, which are not read unless asked for."""
    overlapping: tuple[tuple[str, str], ...] = ()
    """Pairs of subsets of which the first is a part of the second."""
    url: tuple[str, ...] = ("url",)
    """Fields that hold the document's address, dotted where they are nested; the first that has one counts."""
    licence: str
    gate: bool = False
    """Whether its terms must be accepted on the hub before it can be fetched."""
    faults: tuple[str, ...] = ()
    """What is known to be wrong or surprising in it."""


_TEXT = column("text")
_PP2_CODE = ("algebraic-stack/**", "algebraic_stack/**")

LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            name="openwebmath",
            repository="open-web-math/open-web-math",
            container="Parquet",
            globs=("data/train-*",),
            text=_TEXT,
            fields=("text",),
            licence="ODC-By 1.0, and Common Crawl's terms of use",
            faults=("metadata is a JSON string in a string column", "open-web-math-dev has no column `date`"),
        ),
        Layout(
            name="proof_pile_2",
            repository="EleutherAI/proof-pile-2",
            container="JSON lines in zstd",
            subsets={"arxiv": ("arxiv/**",), "web": ("open-web-math/**", "open_web_math/**"), "code": _PP2_CODE},
            splits=True,
            text=_TEXT,
            fields=("text", "meta"),
            url=("url", "meta.url"),
            licence="mixed: that of each source",
            faults=(
                "a script data set, which datasets 4 and later do not load: fetch the files",
                "some lines are empty or hold an empty object, and `meta` may be absent",
                "some copies are decompressed already, under their old names; early ones are in gzip",
            ),
        ),
        Layout(
            name="algebraic_stack",
            repository="EleutherAI/proof-pile-2",
            container="JSON lines in zstd",
            globs=_PP2_CODE,
            splits=True,
            text=_TEXT,
            fields=("text", "meta"),
            url=("url",),
            licence="that of each repository, in `meta`",
            faults=("isa_proofsteps and lean_proofsteps bear the same name in every split",),
        ),
        Layout(
            name="mathpile",
            repository="GAIR/MathPile",
            container="JSON lines in gzip",
            subsets={
                name: (f"{name}/**",)
                for name in ("arXiv", "commoncrawl", "proofwiki", "stackexchange", "textbooks", "wikipedia")
            },
            splits=True,
            text=mathpile,
            fields=("text", "question"),
            url=("url", "meta.url"),
            licence="CC BY-NC-SA 4.0 or stricter; MathPile_Commercial CC BY-SA 4.0",
            gate=True,
            faults=(
                "rows of stackexchange have no `text`, but a question and its answers",
                "the keys of `meta` differ from part to part; the field SubSet is also written subset",
                "v0.1 has broken formulas in wikipedia and captions in arXiv: take v0.2",
                "textbooks/synthetic_textbooks_markdown is text of a language model",
            ),
        ),
        Layout(
            name="finemath",
            repository="HuggingFaceTB/finemath",
            container="Parquet",
            subsets={
                "3plus": ("finemath-3plus/**",),
                "4plus": ("finemath-4plus/**",),
                "infiwebmath-3plus": ("infiwebmath-3plus/**",),
                "infiwebmath-4plus": ("infiwebmath-4plus/**",),
            },
            overlapping=(("4plus", "3plus"), ("infiwebmath-4plus", "infiwebmath-3plus")),
            text=_TEXT,
            fields=("text",),
            licence="ODC-By 1.0",
            faults=("4plus is a part of 3plus", "infiwebmath has fewer columns"),
        ),
        Layout(
            name="infimm_webmath",
            repository="Infi-MM/InfiMM-WebMath-40B",
            container="Parquet",
            text=infimm,
            fields=("text_list",),
            url=("URL", "url"),
            licence="ODC-By 1.0",
            faults=("text_list is null where an image stands; its first piece is not the whole text",),
        ),
        Layout(
            name="megamath",
            repository="LLM360/MegaMath",
            container="Parquet",
            subsets={
                name: (f"megamath-{name}/**",)
                for name in ("web", "web-pro", "code", "qa", "translated-code", "text-code-block")
            },
            text=_TEXT,
            fields=("text",),
            licence="ODC-By 1.0",
            faults=("folders are of different depths",),
        ),
        Layout(
            name="redpajama_arxiv",
            repository="togethercomputer/RedPajama-Data-1T",
            container="JSON lines",
            globs=("**/arxiv_*", "**/arXiv_*"),
            text=_TEXT,
            fields=("text", "meta"),
            url=("meta.url", "url"),
            licence="that of each paper",
            faults=("LaTeX source, bibliographies included", "its server may be gone: proof_pile_2 has a copy"),
        ),
        Layout(
            name="pes2o",
            repository="allenai/peS2o",
            container="JSON lines in gzip",
            subsets={version: (f"data/{version}/**", f"{version}/**") for version in ("v1", "v2", "v3")},
            splits=True,
            overlapping=(("v1", "v2"), ("v2", "v3"), ("v1", "v3")),
            text=_TEXT,
            fields=("text",),
            licence="ODC-By 1.0",
            faults=("text of PDF without its formulas: no stand-in for arXiv", "versions 1 to 3 differ"),
        ),
        Layout(
            name="the_stack",
            repository="bigcode/the-stack-dedup",
            container="Parquet; JSON lines in the small ones",
            globs=("data/**",),
            text=column("content"),
            fields=("content",),
            licence="that of each file, in max_stars_repo_licenses",
            gate=True,
            faults=("the-stack-v2 and stack-edu hold no text, only the keys of an archive",),
        ),
        Layout(
            name="starcoderdata",
            repository="bigcode/starcoderdata",
            container="Parquet",
            not_globs=("git-commits*/**", "github-issues*/**", "jupyter-*/**"),
            text=starcoder,
            fields=("content",),
            licence="that of each file",
            gate=True,
            faults=(
                "texts begin with <reponame>, <filename> and <gh_stars>, which are taken off",
                "the folders of commits, issues and notebooks are of other formats, and are left out",
            ),
        ),
        Layout(
            name="fineweb",
            repository="HuggingFaceFW/fineweb-edu",
            container="Parquet",
            splits=True,
            not_globs=("**/*_removed/**",),
            text=_TEXT,
            fields=("text",),
            licence="ODC-By 1.0",
            faults=("sample/ holds rows of data/ again", "for Chinese: fineweb-2, data/cmn_Hani"),
            subsets={"data": ("data/**",), "sample": ("sample/**",)},
            overlapping=(("sample", "data"),),
        ),
        Layout(
            name="dclm",
            repository="mlfoundations/dclm-baseline-1.0",
            container="JSON lines in zstd",
            text=_TEXT,
            fields=("text",),
            licence="CC BY 4.0",
            faults=("files end in .zst or in .zstd",),
        ),
        Layout(
            name="text",
            repository="",
            container="any",
            text=_TEXT,
            fields=("text",),
            url=("url", "URL", "meta.url"),
            licence="unknown",
        ),
    )
}


def find_layout(name: str, text_column: str = "") -> Layout:
    """The layout of that name; `text_column` is where its text stands, in place of its own rule.

    Raises MathwrightError for an unknown name, naming the nearest.
    """
    found = LAYOUTS.get(name.replace("-", "_").lower())
    if found is None:
        near = difflib.get_close_matches(name.lower(), LAYOUTS, n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}? " if near else ""
        raise MathwrightError(
            f"no layout is called {name!r}", hint=f"{meant}there are {', '.join(LAYOUTS)}; text reads any other"
        )
    if not text_column:
        return found
    return replace(found, text=column(text_column), fields=(text_column,))


# --- files ----------------------------------------------------------------------------------------

_NO_DATA = re.compile(
    r"(?:readme|license|licence|changelog|contributing|dataset_infos?\.json|dataset_dict\.json|state\.json|_success)\b"
    r"|.*\.(?:md|py|sh|yaml|yml|lock|metadata|sha256|md5|crc|csv|png|jpg|svg|pdf|gitattributes)$",
    re.IGNORECASE,
)
"""Names of what lies beside the data of a published corpus."""
_SPLITS = {"validation": ("validation", "valid", "val", "dev"), "test": ("test",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of a corpus, and what of its folder is left out."""

    chosen: list[Path]
    left_out: dict[str, int]
    """How many files, by reason."""


def choose_files(
    layout: Layout, path: Path, *, subset: str = "", split: str = "train", leave_out: Path | None = None
) -> Files:
    """The files of a corpus at `path`, in the order of their names; a file is itself.

    Raises MathwrightError where there is none, for an unknown subset, and where two parts overlap.
    """
    if split != "train" and not layout.splits:
        raise MathwrightError(f"{layout.name} has no split {split!r}", hint="leave --split out")
    if subset and subset not in layout.subsets:
        there = f"there are {', '.join(layout.subsets)}" if layout.subsets else "it has no parts: leave --subset out"
        raise MathwrightError(f"{layout.name} has no subset {subset!r}", hint=there)
    if path.is_file():
        return Files(chosen=[path], left_out={})
    if is_glob(path):
        return Files(chosen=files_that_fit(path), left_out={})
    if not path.is_dir():
        hint = f"fetch {layout.repository} from the hub, or check the path" if layout.repository else "check the path"
        raise MathwrightError(f"{path}: no such file or folder", hint=hint)
    left_out: dict[str, int] = {}

    def drop(reason: str) -> bool:
        left_out[reason] = left_out.get(reason, 0) + 1
        return False

    def is_data(file: Path) -> bool:
        name = file.relative_to(root)
        if any(part.startswith(".") for part in name.parts):
            return False
        if (has_rows or file.suffix == ".csv") and _NO_DATA.match(file.name):
            return drop("no data")
        if _matches(name, layout.not_globs):
            return drop("another format")
        return True

    there = list(files_below(path, leave_out=leave_out))
    root = _root_of(path, there)
    has_rows = layout.name != "text" or any(_ROWS.search(file.name) for file in there)
    files = [file for file in there if is_data(file)]
    wanted = layout.subsets.get(subset, ())
    globs = wanted or tuple(glob for own in layout.subsets.values() for glob in own) or layout.globs
    fitting = [file for file in files if _matches(file.relative_to(root), globs)]
    # A part of a corpus may be given for the whole: its folders are then above.
    fitting = fitting or [file for file in files if _matches(file, globs)]
    if fitting or wanted:
        kept = set(fitting)
        files = [file for file in files if file in kept or drop("not of this layout or subset")]
    if not subset:
        _refuse_overlap(layout, [file.relative_to(root) for file in files])
    if layout.splits:
        files = [file for file in files if _split(file.relative_to(root)) == split or drop("another split")]
    if not files:
        why = ", ".join(f"{reason}: {count:,}" for reason, count in left_out.items()) or "the folder is empty"
        raise MathwrightError(
            f"{path}: no file of {layout.name}{f', subset {subset}' if subset else ''} ({why})",
            hint="give the folder that holds the publisher's folders; see docs/corpora.md, --subset and --split",
        )
    return Files(chosen=files, left_out=left_out)


def _root_of(path: Path, files: list[Path]) -> Path:
    """The folder whose files these are: a snapshot, where the path is a data set in the hub's cache."""
    snapshots = path / "snapshots"
    inside = [file for file in files if file.is_relative_to(snapshots)]
    return snapshots / inside[0].relative_to(snapshots).parts[0] if inside and len(inside) == len(files) else path


_ROWS = re.compile(r"\.(?:jsonl?|ndjson|parquet|arrow)(?:\.\w+)?$")
"""Names of files with rows: beside them a README is no document."""


def _refuse_overlap(layout: Layout, files: list[Path]) -> None:
    there = {name for name, globs in layout.subsets.items() if any(_matches(file, globs) for file in files)}
    for part, whole in layout.overlapping:
        if {part, whole} <= there:
            raise MathwrightError(
                f"{layout.name}: {part} and {whole} hold the same documents", hint=f"choose one, as --subset {whole}"
            )


def _matches(file: Path, globs: tuple[str, ...]) -> bool:
    """Whether the end of a path fits a glob."""
    return any(re.search(_pattern(glob), file.as_posix()) for glob in globs)


def _pattern(glob: str) -> str:
    escaped = re.escape(glob).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return f"(?:^|/){escaped}$"


def _split(name: Path) -> str:
    words = [part.lower() for part in name.parts[:-1]] + re.split(r"[-_.]", name.name.lower())
    return next((split for split, names in _SPLITS.items() if any(word in names for word in words)), "train")
