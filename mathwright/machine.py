"""What this machine has to train on, told without importing torch, so that a command can say at once what it does."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Collection
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


def busy_cores(seconds: float = 0.25) -> float:
    """How many of the cores that this process may use other programs keep busy, watched for so long.

    0 where the system does not say.
    """
    before, own = _busy_seconds(), _own_seconds()
    time.sleep(seconds)
    after = _busy_seconds()
    if before is None or after is None:
        return 0.0
    return max(0.0, (after - before - (_own_seconds() - own)) / seconds)


def _busy_seconds() -> float | None:
    """Processor seconds that were used, by anybody, since the start of the machine on the cores of this process."""
    try:
        cores = os.sched_getaffinity(0)
        return used_seconds(Path("/proc/stat").read_text(encoding="ascii"), cores, os.sysconf("SC_CLK_TCK"))
    except (AttributeError, ValueError, OSError):  # not Linux
        return None


def used_seconds(stat: str, cores: Collection[int], ticks_per_second: int) -> float:
    """What /proc/stat says of some cores: user, nice, system and interrupts; not idle, nor waiting for a disk."""
    used = 0
    for line in stat.splitlines():
        name, *numbers = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            user, nice, system, _idle, _iowait, irq, softirq = (int(number) for number in numbers[:7])
            used += user + nice + system + irq + softirq
    return used / ticks_per_second


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system


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
