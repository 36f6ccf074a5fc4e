"""What this machine has to train on, told without importing torch, so that a command can say at once what it does."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Kind = Literal["laptop", "one_gpu", "several_gpus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A graphics card that CUDA can use."""

    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Processors, memory and graphics cards."""

    num_cores: int
    """That this process may use."""
    memory_bytes: int
    gpus: tuple[Gpu, ...] = ()
    processor: str = ""
    """Name of the processor; "" where the system does not say."""

    @property
    def kind(self) -> Kind:
        """For which of the three sets of defaults it is."""
        return ("laptop", "one_gpu")[len(self.gpus)] if len(self.gpus) < 2 else "several_gpus"

    @property
    def device(self) -> str:
        """Where models go: cuda where there is a graphics card, else cpu."""
        return "cuda" if self.gpus else "cpu"

    def __str__(self) -> str:
        cards = ", ".join(sorted({f"{gpu.name}, {gpu.memory_bytes / 2**30:.0f} GiB" for gpu in self.gpus}))
        cores = f"{self.num_cores} core{'' if self.num_cores == 1 else 's'}, {self.memory_bytes / 2**30:.0f} GiB"
        return f"{len(self.gpus)} GPU{'' if len(self.gpus) == 1 else 's'} ({cards}), {cores}" if self.gpus else cores


@cache
def this_machine() -> Machine:
    """What the machine has that this process runs on."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        cores = len(os.sched_getaffinity(0))
    except (AttributeError, ValueError, OSError):  # not Linux
        memory, cores = 8 * 2**30, os.cpu_count() or 1
    return Machine(num_cores=cores, memory_bytes=memory, gpus=tuple(_visible(_gpus())), processor=_processor())


def _processor() -> str:
    """The name as Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _gpus() -> list[Gpu]:
    """The cards as nvidia-smi lists them; none where the driver is not there."""
    program = shutil.which("nvidia-smi")
    if program is None or not Path("/proc/driver/nvidia").exists():
        return []
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.splitlines()
        rows = [line.rpartition(",") for line in lines if "," in line]
        return [Gpu(name=name.strip(), memory_bytes=int(float(memory)) << 20) for name, _, memory in rows]
    except (OSError, ValueError, subprocess.SubprocessError):
        return []


def _visible(gpus: list[Gpu]) -> list[Gpu]:
    """Those that CUDA_VISIBLE_DEVICES leaves."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    if names is None:
        return gpus
    kept = [name for name in names.split(",") if name.strip() not in ("", "-1")]
    return gpus[: len(kept)]
