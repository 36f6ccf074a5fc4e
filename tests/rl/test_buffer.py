"""Rollouts on disk: what a kill left of a group is neither read nor continued."""

import json
from pathlib import Path

from mathwright.rl.buffer import RolloutFile


def test_a_group_cut_in_the_middle_of_a_character_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"
    lines = [json.dumps({"step": step, "group": {"prompt": "5个以上"}}, ensure_ascii=False) for step in (1, 2, 3)]
    torn = ('{"step": 4, "group": {"prompt": "5' + "个").encode()[:-1]
    path.write_bytes("".join(line + "\n" for line in lines).encode() + torn)
    RolloutFile(path).rewind(3)
    assert path.read_text(encoding="utf-8").splitlines() == lines[:2]
