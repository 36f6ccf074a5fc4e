"""Runs begun before stages recorded their inputs: taken over where it is known what they were made from.

Until then a stage's begun.json held a hash alone, of its recipe part as a whole, the version of the package and the
stages it read. Where that is the hash of the recipe in the run's recipe.json, the stage was made from that recipe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mathwright.chain.provenance import Inputs, Provenance
from mathwright.chain.spec import Specs
from mathwright.recipe import Recipe
from mathwright.records import from_json
from mathwright.run import Log, fingerprint, read_manifest, write_json
from mathwright.run.aside import BEGUN, MANIFEST, copy_aside
from mathwright.run.inputs import Begun, by_path

VERSION = "0.1.0"
"""Of the package that recorded no inputs."""
TEMPLATED = ("sft", "reward", "rl", "eval")
"""The stages whose hash it took of the template too."""


def take_over(run: Path, stages: Specs, decisions: str) -> None:
    """Write down what the stages of such a run were made from, where that is known; the files of before are kept.

    Args:
        run: its directory.
        stages: those of the chain.
        decisions: hash of what people have decided about the corpus.
    """
    nameless = [
        spec.name for spec in stages if (begun := Begun.read(run / spec.name)) is not None and begun.inputs is None
    ]
    if not nameless:
        return
    raw = json.loads((run / "recipe.json").read_text(encoding="utf-8"))["recipe"]
    try:
        recipe = from_json(Recipe, raw)
    except ValueError:  # of a version with other fields: what it made is set aside when it is met
        return
    made_from = Provenance(recipe=recipe, run=run, given=Inputs(), decisions=decisions, stages=stages)
    for name in nameless:
        begun = Begun.read(run / name)
        revision = [decisions] if name == "corpus" and decisions else []
        parts = _parts(name, raw, made_from)
        if begun is None or begun.fingerprint != _hash(parts) or not made_from.has(name):
            continue
        inputs = {path: 1 if path.endswith(" format") else value for path, value in made_from.of(name).items()}
        _write(run / name, name, inputs, made_from.settings(name), _hash([*parts, *revision]), revision)
        Log(name, run / name).say(f"begun by mathwright {VERSION} from the recipe of this run: taken over")


def _write(
    stage: Path, name: str, inputs: dict[str, Any], settings: dict[str, Any], old_mark: str, revision: list[str]
) -> None:
    manifests = [path for path in (stage / MANIFEST, *stage.glob(f"*/{MANIFEST}")) if path.is_file()]
    for path in manifests:
        manifest = read_manifest(path.parent)
        if manifest is not None and manifest["fingerprint"] == old_mark:
            copy_aside(path)
            write_json(path, manifest | {"fingerprint": fingerprint(name, inputs, *revision)})
    copy_aside(stage / BEGUN)
    begun = {"fingerprint": fingerprint(name, inputs), "version": VERSION, "inputs": by_path([inputs])}
    write_json(stage / BEGUN, begun | {"settings": by_path([settings])})


def _parts(name: str, raw: Mapping[str, Any], made_from: Provenance) -> list[Any]:
    """What the hash was taken of."""
    upstream = []
    for earlier in made_from.reads(name):
        decided = [made_from.decisions] if earlier == "corpus" and made_from.decisions else []
        upstream.append([*_parts(earlier, raw, made_from), *decided])
    template = raw["template"] if name in TEMPLATED else None
    return [name, VERSION, raw["seed"], raw[name], template, None, None, upstream]


def _hash(parts: list[Any]) -> str:
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
