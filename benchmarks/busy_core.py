"""A training step beside a program that keeps a core busy, on one thread and on all: why stages look before they begin.

    python benchmarks/busy_core.py                  # a model of 0.9M parameters, 2,048 tokens a step
    python benchmarks/busy_core.py --seconds 1 --rows 1       # a look

Each row is a process of its own: steps for `--seconds`, their mean. Beside them runs nothing, or `while True: pass`.
`OMP_WAIT_POLICY=passive` lets threads sleep while they wait for each other; what mathwright does (`lm.threads`) is the
last row.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRATCH = {"vocab_size": 1024, "width": 128, "num_layers": 4, "num_heads": 4, "num_kv_heads": 4, "ffn_width": 352}
TOKENS = 64
"""Of an example; 16 make a row."""


def measure(threads: int, options: argparse.Namespace, folder: Path) -> float:
    """Mean seconds of a training step in this process; 0 threads: as a stage chooses them."""
    import torch

    from mathwright.lm.load import load
    from mathwright.lm.logprobs import next_token_losses
    from mathwright.lm.pack import Example, pack_rows
    from mathwright.lm.threads import fitted

    lm = load(folder, dtype="float32")
    vocabulary = lm.model.get_input_embeddings().weight.shape[0]
    generator = torch.Generator().manual_seed(0)

    def example() -> Example:
        tokens = torch.randint(5, vocabulary, (TOKENS,), generator=generator).tolist()
        return Example(tokens=tokens, trained=[False] + [True] * (TOKENS - 1))

    batch = pack_rows([[example() for _ in range(16)] for _ in range(options.rows)])
    optimiser = torch.optim.AdamW(lm.model.parameters(), lr=1e-4)

    def steps(seconds: float) -> list[float]:
        found: list[float] = []
        while sum(found) < seconds:
            began = time.perf_counter()
            next_token_losses(lm, batch).mean().backward()
            optimiser.step()
            optimiser.zero_grad()
            found.append(time.perf_counter() - began)
        return found

    if threads:
        torch.set_num_threads(threads)
        steps(0.5)
        return statistics.mean(steps(options.seconds))
    with fitted(lambda line: print(line, file=sys.stderr)):
        steps(0.5)
        return statistics.mean(steps(options.seconds))


def make_model(folder: Path) -> None:
    from mathwright.lm.recipe import ScratchRecipe
    from mathwright.lm.save import save
    from mathwright.lm.scratch import from_scratch

    texts = [f"{a} times {b} is {a * b}, and {a} plus {b} is {a + b}." for a in range(99) for b in range(99)]
    save(from_scratch(ScratchRecipe(**SCRATCH), texts, max_length=1024, seed=0), folder)


def timed(threads: int, folder: Path, environment: dict[str, str]) -> float:
    command = [sys.executable, str(Path(__file__).absolute()), *sys.argv[1:], "--threads", str(threads)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [*command, "--model", str(folder)], env={**clean, **environment}, stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="of steps, each row")
    parser.add_argument("--rows", type=int, default=2, help="of 1,024 tokens a step")
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads is not None:
        print(measure(options.threads, options, options.model))
        return
    cores = len(os.sched_getaffinity(0))
    cases = {
        "1 thread": (1, {}),
        f"{cores} threads": (cores, {}),
        f"{cores} threads, OMP_WAIT_POLICY=passive": (cores, {"OMP_WAIT_POLICY": "passive"}),
        "as a stage chooses": (0, {}),
    }
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / "model"
        make_model(folder)
        alone = {name: timed(threads, folder, more) for name, (threads, more) in cases.items()}
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            beside = {name: timed(threads, folder, more) for name, (threads, more) in cases.items()}
        finally:
            busy.kill()
            busy.wait()
    best = min(alone.values())
    print("| | ms a step, alone | beside a busy program | times the best alone |\n|---|---|---|---|")
    for name in cases:
        print(f"| {name} | {1000 * alone[name]:.0f} | {1000 * beside[name]:.0f} | {beside[name] / best:.2f} |")


if __name__ == "__main__":
    main()
