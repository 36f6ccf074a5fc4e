"""GRPO on GSM8K with Qwen2.5-0.5B-Instruct on one GPU; larger ones by `--set model.source=Qwen/Qwen2.5-1.5B-Instruct`.

    mathwright run grpo_gsm8k --dry-run       # memory and time
    mathwright run grpo_gsm8k --device cuda

To compare with: the same model goes from 49.6% to 56.7% by PPO in verl's published runs, of another method and prompt.
`tiny()` is the same experiment at the size of a test.
"""

from mathwright.eval.recipe import EvalRecipe
from mathwright.lm.recipe import ModelRecipe, OptimiserRecipe, SamplingRecipe, ScratchRecipe
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.recipe import Recipe
from mathwright.rl.recipe import RLRecipe


def recipe() -> Recipe:
    """Two passes over the training questions, measured on the whole test."""
    return Recipe(
        name="grpo_gsm8k",
        model=ModelRecipe(source="Qwen/Qwen2.5-0.5B-Instruct", dtype="bfloat16"),
        template="tokenizer",  # the chat template it was tuned with
        problems=ProblemsRecipe(sources=(ProblemSourceRecipe(source="gsm8k"),)),  # 7,473 and 1,319
        rl=RLRecipe(
            num_steps=116,  # two passes over 7,473 questions
            problems_per_step=128,
            group_size=8,  # 1,024 outputs a step, as in §4.2
            kl_coef=0.001,  # §4.2's 0.04 holds so small a model back; that of verl's recipe for this data
            sampling=SamplingRecipe(max_new_tokens=512),  # its solutions have some 200 tokens
            optimiser=OptimiserRecipe(lr=1e-6, weight_decay=0.01, warmup_steps=3),  # §4.2's rate
            micro_batch_tokens=32_768,
            generation_batch=256,
            checkpoint_activations=True,  # so that 1.5B fits into 48 GiB
            checkpoint_every=20,
            evaluate_every=20,
            num_evaluated=200,
        ),
        eval=EvalRecipe(num_problems=1319, greedy_max_new_tokens=512, batch_size=256),
    )


def tiny() -> Recipe:
    """A model of some ten thousand parameters, two steps."""
    return Recipe(
        name="grpo_gsm8k_tiny",
        model=ModelRecipe(
            source="scratch",
            scratch=ScratchRecipe(vocab_size=512, width=32, num_layers=2, num_heads=2, num_kv_heads=1, ffn_width=64),
            dtype="float32",
            max_length=256,
        ),
        problems=ProblemsRecipe(
            sources=(ProblemSourceRecipe(source="procedural", path="add_two", num_train=24, num_test=8),), difficulty=0
        ),
        rl=RLRecipe(
            num_steps=2,
            problems_per_step=4,
            group_size=4,
            kl_coef=0.001,
            sampling=SamplingRecipe(max_new_tokens=8),
            optimiser=OptimiserRecipe(lr=1e-3),
            evaluate_every=2,
            num_evaluated=4,
        ),
        eval=EvalRecipe(num_problems=8, greedy_max_new_tokens=8),
    )
