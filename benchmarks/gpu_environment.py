"""What machine `gpu.sh` runs on: GPU, driver, versions, clocks, and the rate of a large product at them.

python benchmarks/gpu_environment.py --device cuda --results results.jsonl
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import time
from pathlib import Path

from clock import synchronise
from gpu_results import add

PACKAGES = ("torch", "transformers", "tyro", "jaxtyping", "trl", "peft", "hypothesis", "pytest", "vllm")


def environment(options: argparse.Namespace) -> None:
    on_gpu = options.device == "cuda"

    def tell(name: str, value: object) -> None:
        add(options.results, "environment", name=name, value=value)

    tell("device", options.device)
    for name, question in (("GPU", "name"), ("driver", "driver_version"), ("memory of the GPU", "memory.total")):
        tell(name, asked(question) if on_gpu else None)
    tell("machine", f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    tell("python", platform.python_version())
    tell("commit", commit())
    versions = {name: version(name) for name in PACKAGES}
    tell("installed", ", ".join(f"{name} {found}" for name, found in versions.items() if found))
    tell("missing", ", ".join(name for name, found in versions.items() if not found))

    import torch  # what is above is to be told where this fails, too

    tell("CUDA of PyTorch", torch.version.cuda)
    if on_gpu and not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no GPU")
    tell("clocks idle (SM, memory)", asked("clocks.sm,clocks.mem") if on_gpu else None)
    tell("bf16 product, TFLOP/s", product_tflops(options.device))
    tell("clocks just after it", asked("clocks.sm,clocks.mem") if on_gpu else None)


def version(package: str) -> str | None:
    """The version of a package; None where it is not installed or cannot be found by `import`."""
    if importlib.util.find_spec(package) is None:
        return None
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def asked(question: str) -> str | None:
    """What nvidia-smi says of the first GPU; None where there is none."""
    command = ["nvidia-smi", f"--query-gpu={question}", "--format=csv,noheader", "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def commit() -> str | None:
    """The commit of the checkout; None where it came without its history."""
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def product_tflops(device: str) -> float:
    """The rate of a large product of random bfloat16 matrices: what this GPU can reach at its clocks of now."""
    import torch

    size, times = (8192, 20) if device == "cuda" else (256, 2)
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    torch.matmul(left, right)  # the first loads the kernel
    synchronise(device)
    began = time.perf_counter()
    for _ in range(times):
        torch.matmul(left, right)
    synchronise(device)
    return round(2 * size**3 * times / (time.perf_counter() - began) / 1e12, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--results", type=Path, required=True)
    environment(parser.parse_args())


if __name__ == "__main__":
    main()
