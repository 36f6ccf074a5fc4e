"""Tables 6 and 7 of arXiv 2402.03300 (§5.1.1): does training on code help mathematics, with tools and without?

    mathwright compare deepseekmath_1p3b_code --dry-run --gpus 64

Two stages (general text or code, then mathematics) and one (mathematics alone, or code and mathematics mixed), judged
on word problems without tools and by programs, and on language, reasoning and code. The first stages are rows of the
tables too, so that each is trained once. Import corpora as `deepseekmath_1p3b_compare` says.
"""

from dataclasses import replace

from mathwright.pretrain.recipe import ArmRecipe, CompareRecipe, MixtureRecipe
from mathwright.recipe import Recipe
from mathwright.recipes.deepseekmath_1p3b_compare import MODEL, TRAINING

BILLION = 1_000_000_000
GENERAL = MixtureRecipe(name="general", path="corpora/general/shards", weight=1.0)  # not public; FineWeb stands in
CODE = MixtureRecipe(name="code", path="corpora/starcoderdata/shards", weight=1.0)  # not public; this stands in
MATH = MixtureRecipe(name="math", path="corpora/mined/shards", weight=1.0)


def recipe() -> Recipe:
    """The six trainings of Tables 6 and 7, and the start."""
    return Recipe(
        name="deepseekmath_1p3b_code",
        model=MODEL,
        compare=CompareRecipe(
            arms=(
                # Table 6, two-stage training: "General (400B tokens)", "Code (400B)", each then "Math (150B)"
                ArmRecipe(name="general", mixture=(GENERAL,), num_tokens=400 * BILLION),
                ArmRecipe(name="general_then_math", mixture=(MATH,), num_tokens=150 * BILLION, after="general"),
                ArmRecipe(name="code", mixture=(CODE,), num_tokens=400 * BILLION),
                ArmRecipe(name="code_then_math", mixture=(MATH,), num_tokens=150 * BILLION, after="code"),
                # Table 6, one-stage training
                ArmRecipe(name="math", mixture=(MATH,), num_tokens=150 * BILLION),
                ArmRecipe(
                    name="code_and_math",  # "a mixture of 400B code tokens and 150B math tokens"
                    mixture=(replace(CODE, weight=400 / 550), replace(MATH, weight=150 / 550)),
                    num_tokens=550 * BILLION,
                ),
            ),
            training=TRAINING,  # paper silent on this experiment: as in §2.2
            with_start=True,  # Table 6: "No Continual Training"
            # Table 6: GSM8K, MATH, CMATH, and the first two with Python; Table 7: MMLU, BBH, HumanEval, MBPP
            tasks=("gsm8k", "math", "cmath", "gsm8k:pot", "math:pot", "mmlu", "bbh", "humaneval", "mbpp"),
            choices=("mmlu",),  # the paper has accuracy alone
            own_heldout=True,  # the paper has none
        ),
    )
