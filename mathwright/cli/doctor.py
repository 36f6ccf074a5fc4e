"""`mathwright doctor`: whether this machine has what each part needs, and what to do where it has not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.text import Text

from mathwright.cli.explain import EXTRAS
from mathwright.machine import this_machine
from mathwright.terminal import console

State = Literal["ok", "note", "missing"]
STYLES = {"ok": "green", "note": "yellow", "missing": "bold red"}
FREE_BYTES = 10 * 2**30
"""What the quickstart and a small training write, with room."""
MEMORY_BYTES = 8 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: State
    said: str
    """How it is."""
    advice: str = ""
    """What to do, where something is to be done."""


def doctor() -> bool:
    """Print what was found, a line each; whether nothing is missing without which no stage runs."""
    found = list(findings())
    width = max(len(finding.what) for finding in found)
    for finding in found:
        line = Text.assemble(
            (f"{finding.state:>7}", STYLES[finding.state]), f"  {finding.what:<{width}}  {finding.said}"
        )
        if finding.advice:
            line.append(f"; {finding.advice}")
        console.print(line, soft_wrap=True)
    return all(finding.state != "missing" for finding in found)


def findings() -> Iterator[Finding]:
    """Everything that is looked at, in the order of need."""
    yield _python()
    yield _machine()
    yield _torch()
    yield _gpu()
    yield _sandbox()
    yield _disk(Path.cwd())
    for extra in EXTRAS:
        yield _extra(extra)


def _python() -> Finding:
    said = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    if platform.system() != "Linux":
        return Finding(what="Python", state="note", said=said, advice="tested on Linux alone")
    return Finding(what="Python", state="ok", said=said)


def _machine() -> Finding:
    machine = this_machine()
    if machine.memory_bytes < MEMORY_BYTES:
        advice = "the quickstart takes 1 GiB; to train a model of 135M parameters takes 7"
        return Finding(what="machine", state="note", said=str(machine), advice=advice)
    return Finding(what="machine", state="ok", said=str(machine))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _torch() -> Finding:
    version = _version("torch")
    if not version:
        return Finding(what="torch", state="missing", said="not installed", advice="pip install torch")
    number = tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())
    if number < (2, 11):
        return Finding(what="torch", state="missing", said=version, advice="pip install -U 'torch>=2.11'")
    return Finding(what="torch", state="ok", said=f"{version}, transformers {_version('transformers') or 'missing'}")


def _gpu() -> Finding:
    """Whether torch can use the graphics cards: its build may be one for processors alone."""
    machine = this_machine()
    if not machine.gpus:
        advice = "small models train on processors; --device cpu is chosen by itself"
        return Finding(what="GPU", state="ok", said="none that CUDA can use", advice=advice)
    if not _version("torch"):
        return Finding(what="GPU", state="note", said=str(machine), advice="install torch to use it")
    import torch

    if not torch.cuda.is_available():
        build = torch.version.cuda or "processors alone"
        advice = "install the build of your CUDA: https://pytorch.org/get-started/locally"
        return Finding(what="GPU", state="missing", said=f"{machine}, but torch is built for {build}", advice=advice)
    return Finding(what="GPU", state="ok", said=f"{machine}, CUDA {torch.version.cuda}")


def _sandbox() -> Finding:
    """What programs of models run in is tried, not guessed."""
    if platform.system() != "Linux":
        advice = "mode tool and programs need Linux; mode cot does not"
        return Finding(what="sandbox", state="note", said=f"none on {platform.system()}", advice=advice)
    from mathwright.errors import MathwrightError
    from mathwright.tools.sandbox import Sandbox

    try:
        with Sandbox(num_workers=1) as sandbox:
            done = sandbox.run("print(6 * 7)", timeout_s=20.0)
    except (MathwrightError, OSError, RuntimeError) as error:
        advice = "it needs Landlock and seccomp of the kernel (docs/sandbox.md); mode cot needs neither"
        return Finding(what="sandbox", state="note", said=" ".join(str(error).split())[:160], advice=advice)
    if done.stdout.strip() != "42":
        return Finding(
            what="sandbox", state="note", said=f"a program ended as {done.status}", advice="see docs/sandbox.md"
        )
    return Finding(what="sandbox", state="ok", said="runs programs, without network and files")


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    said = f"{free / 2**30:,.0f} GiB free in {folder}"
    if not os.access(folder, os.W_OK):
        return Finding(
            what="disk", state="note", said=f"{folder} cannot be written to", advice="name a place with --out"
        )
    if free < FREE_BYTES:
        return Finding(
            what="disk", state="note", said=said, advice="a training writes checkpoints: name a place with --out"
        )
    return Finding(what="disk", state="ok", said=said)


def _extra(extra: str) -> Finding:
    lacking = [name for name in EXTRAS[extra] if importlib.util.find_spec(name) is None]
    if not lacking:
        return Finding(what=f"[{extra}]", state="ok", said="installed")
    said = f"without {', '.join(lacking)}"
    return Finding(what=f"[{extra}]", state="note", said=said, advice=f"pip install 'mathwright[{extra}]'")
