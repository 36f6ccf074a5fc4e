"""The stages of the chain in the order of the paper, a file each: what it reads, what can be wrong, what it would do
and how its room is called."""

from mathwright.chain.context import Context
from mathwright.chain.spec import StageSpec
from mathwright.chain.stages.compare import COMPARE
from mathwright.chain.stages.corpus import CORPUS
from mathwright.chain.stages.eval import EVAL
from mathwright.chain.stages.model import MODEL
from mathwright.chain.stages.pretrain import PRETRAIN
from mathwright.chain.stages.problems import PROBLEMS
from mathwright.chain.stages.reward import REWARD
from mathwright.chain.stages.rl import RL
from mathwright.chain.stages.sft import SFT

STAGES: tuple[StageSpec[Context], ...] = (PROBLEMS, MODEL, CORPUS, COMPARE, PRETRAIN, SFT, REWARD, RL, EVAL)
STAGE_NAMES = tuple(spec.name for spec in STAGES)
