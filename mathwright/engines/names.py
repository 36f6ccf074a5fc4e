"""What a model is called, and what tells its weights from others; needs no model to be loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path


def model_name(source: str) -> str:
    """A short name: the last folder that tells models apart (`runs/quickstart/sft/model` is `sft`)."""
    parts = [part for part in Path(source.removeprefix("wheel:")).parts if part not in ("/", "model", ".")]
    return parts[-1] if parts else source


def weights_mark(model: str) -> str:
    """A mark of a local model's weights, so that samples of a model trained on are not mixed with its earlier ones.

    Of each file a few stretches are read: training changes all of them. "" where the model is not a local folder.
    """
    files = sorted(Path(model).expanduser().glob("*.safetensors")) if Path(model).expanduser().is_dir() else []
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}".encode())
        with path.open("rb") as file:
            for part in range(8):
                file.seek(size * part // 8)
                digest.update(file.read(4096))
    return digest.hexdigest()[:16] if files else ""
