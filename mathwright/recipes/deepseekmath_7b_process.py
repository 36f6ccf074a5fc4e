"""DeepSeekMath 7B with process supervision (§4.1.3) in the place of outcome supervision: GRPO+PS of Figure 5.

    mathwright run deepseekmath_7b_process --dry-run --gpus 512

Corpus, pre-training, fine-tuning and evaluation are those of `deepseekmath_7b`. Figure 5 itself is of the 1.3B model.
"""

from dataclasses import replace

from mathwright.recipe import Recipe
from mathwright.recipes import deepseekmath_7b
from mathwright.reward.recipe import ProcessRecipe


def recipe() -> Recipe:
    """The whole recipe, its reward model one of steps."""
    whole = deepseekmath_7b.recipe()
    assert whole.reward is not None and whole.rl is not None
    process = ProcessRecipe(
        responses_per_problem=15,  # Math-Shepherd, §4.2's source: 15 solutions a problem
        steps="line",  # Math-Shepherd: a step a line
        max_steps=64,  # paper silent
        labels="hard",  # Math-Shepherd: 1 where any completion reaches the answer
        num_completions=8,  # Math-Shepherd: N = 8
        completions_per_wave=2,  # paper silent: stops at the first hit, the labels are the same
        early_stop=None,  # paper silent: for hard labels
        binary_search=False,  # Math-Shepherd completes every step
        batch_responses=512,  # paper silent
        files=(),  # §4.2: its own samples; Math-Shepherd's published labels could be named here
        neutral="right",  # concerns PRM800K only
    )
    return replace(
        whole,
        name="deepseekmath_7b_process",
        reward=replace(whole.reward, kind="process", process=process),  # §4.1.3: "a process reward model"
        rl=replace(
            whole.rl,
            method="grpo_process",  # §4.1.3
            reward="rule",  # concerns outcome supervision
            step_reward="model",  # §4.1.3
            process_credit="sum",  # §4.1.3: the sum of the normalised rewards of the steps that follow
            num_steps=1_770 * 3,  # as many as the three iterations of deepseekmath_7b together
            iterations=1,  # Algorithm 1 trains an outcome model further; Figure 5 does not iterate
        ),
    )
