"""Algorithm 1 whole (§4.1.4): iterations of reinforcement, each with a new pi_ref and a reward model trained further.

    1   pi_theta <- the SFT model
    2   for iteration = 1 .. I:
    3       pi_ref <- pi_theta                                    reset_reference
    4-11    M steps                                               rl/iteration_K/   rl.train.run
    12      train r_phi further on what was explored, 10% of it   rl/reward_K/      reward.refresh.refresh
            from before                                           refresh_reward, replay_share

Each line is a part of the stage (`Stage.part`) with a manifest of its own: one that has finished is not repeated, one
that was killed goes on. The rankings of line 12 come from the iteration's own responses and verdicts; nothing is sampled
for them. Problems that the reward stage held out stay held out in every iteration.

The paper leaves open, and here: optimiser and schedule of the policy begin anew in each iteration; the questions go on
where the last iteration ended in their order; "10% of historical data" is a tenth of each batch.

Beside the models the stage leaves metrics.jsonl and rollouts.jsonl of all iterations, their steps counted through, and in
its summary the matrix of how well the reward model of each iteration ranks the samples of each (0: of the SFT model).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mathwright.chain import work
from mathwright.files import jsonable, write_lines
from mathwright.lines import json_text
from mathwright.records import JudgedGroup, Problem, read_jsonl
from mathwright.reward import refresh
from mathwright.reward.recipe import RewardRecipe
from mathwright.rl import train
from mathwright.rl.iteration import SAMPLES, Iteration
from mathwright.rl.recipe import RLRecipe
from mathwright.run import Stage
