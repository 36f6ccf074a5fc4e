"""The whole chain on two CPU cores in 5 to 15 minutes: a real small web, a model of a million parameters from scratch.

Sizes are chosen so that each stage shows what it is for: fine-tuning ends where there is something left to gain (54 to
79% of questions with new numbers are right, by seed and rounding: docs/log.md), and reinforcement has many more
questions than there are solutions. The paper's hyper-parameters stay where they mean something at this size. `smollm2`
is the same chain on a pre-trained model.
`tiny()` runs the same stages at smaller sizes: the end-to-end test.
"""

from dataclasses import replace

from mathwright.corpus.recipe import ClassifierRecipe, CorpusRecipe, WebRecipe
from mathwright.eval.recipe import EvalRecipe
from mathwright.lm.recipe import ModelRecipe, OptimiserRecipe, SamplingRecipe, ScratchRecipe
from mathwright.pretrain.recipe import MixtureRecipe, PretrainRecipe
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.recipe import Recipe
from mathwright.reward.recipe import RewardRecipe
from mathwright.rl.recipe import RLRecipe
from mathwright.sft.recipe import SFTRecipe

PACKAGES = (
    # parts that are full of formulas
    "sympy.functions", "sympy.stats", "sympy.ntheory", "sympy.series", "sympy.solvers", "sympy.integrals",
    "scipy.special", "scipy.stats", "scipy.linalg", "scipy.signal", "scipy.integrate",
    "torch.nn", "torch.distributions", "torch.special", "torch.linalg", "torch.utils",
    "numpy.polynomial", "numpy.linalg", "numpy.lib", "mpmath", "networkx.algorithms", "networkx.generators",
    # and parts that are not
    "asyncio", "http", "email", "unittest", "scrapy", "twisted", "docutils", "rich", "pyarrow", "daft",
    "transformers.generation", "transformers.pipelines", "transformers.data", "transformers.utils",
    "jinja2",
)  # fmt: skip
SEED = (
    "*//scipy.localhost*/special/*",
    "*//sympy.localhost*/functions/*",
    "*//mpmath.localhost*/function_docs/*",
)
# Single digits: a million parameters learn them in minutes, and their sums are what the reward model can judge.
QUESTIONS = "add_two,subtract_two,multiply_two,gets_more,gives_away,plus_equation"


def adamw(lr: float, *, warmup_steps: int, decay: tuple[tuple[float, float], ...] = ()) -> OptimiserRecipe:
    """AdamW with the paper's constants (§2.2)."""
    return OptimiserRecipe(
        lr=lr,
        beta1=0.9,
        beta2=0.95,
        eps=1e-8,
        weight_decay=0.1,
        clip_norm=1.0,
        warmup_steps=warmup_steps,
        decay=decay,
    )


def recipe() -> Recipe:
    """A model from scratch on the documentation of the installed packages and on procedural problems."""
    return Recipe(
        name="quickstart",
        seed=0,
        model=ModelRecipe(
            source="scratch",
            scratch=ScratchRecipe(vocab_size=1024, width=128, num_layers=4, num_heads=4, num_kv_heads=4, ffn_width=352),
            dtype="float32",  # at this size bfloat16 saves nothing
            max_length=1024,
        ),
        template="short",  # the paper's suffixes cost more prompt tokens than our questions have
        problems=ProblemsRecipe(
            sources=(ProblemSourceRecipe(source="procedural", path=QUESTIONS, num_train=3_000, num_test=400),),
            difficulty=0,
            seed=0,
        ),
        corpus=CorpusRecipe(
            web=WebRecipe(
                kind="package_docs",
                archives=(),
                packages=PACKAGES,
                start_urls=(),
                max_pages=3000,
                max_pages_per_host=400,
                delay_s=0.0,  # the web is served by this machine for this crawl
                requests_per_host=4,
                user_agent="mathwright (+https://github.com/mathwright/mathwright)",
            ),
            seed_urls=SEED,
            # §2.1, but for the numbers of examples and buckets, which are sized to a few thousand pages
            classifier=ClassifierRecipe(
                num_positives=2_000,
                num_negatives=2_000,
                dim=256,
                lr=0.1,
                word_ngrams=3,
                min_count=3,
                epochs=3,
                buckets=100_000,
            ),
            dedup_similarity=0.8,
            dedup_permutations=64,
            min_words=20,
            budget_tokens=(150_000, 250_000),  # iteration 1 keeps fewer than the last one, as in §2.1
            max_iterations=2,
            stop_overlap=0.98,  # §2.1
            domain_share=0.1,  # §2.1
            domain_min_pages=5,
            decontaminate_ngram=10,  # §2.1
            decontaminate_short_ngram=3,  # §2.1
            benchmarks=(),  # the run's own evaluation problems are always kept out
            heldout_share=0.05,
        ),
        compare=None,
        pretrain=PretrainRecipe(
            mixture=(MixtureRecipe(name="mined", path="run:corpus", weight=1.0),),
            num_tokens=491_520,  # the corpus once
            batch_tokens=4_096,
            micro_batch_tokens=4_096,
            context=256,
            optimiser=adamw(2e-3, warmup_steps=10, decay=((0.8, 0.316), (0.9, 0.1))),  # §2.2's multi-step schedule
            heldout_tokens=16_384,
            checkpoint_every=100,
        ),
        sft=SFTRecipe(
            formats=("cot", "tool"),
            num_examples=1_200,  # of 6,000: worked solutions are few, questions many
            context=512,
            batch_rows=2,  # many small updates teach so small a model more than few large ones
            num_steps=360,
            optimiser=adamw(2e-3, warmup_steps=10, decay=((0.8, 0.316),)),
            checkpoint_every=150,
        ),
        reward=RewardRecipe(
            num_problems=1_000,
            responses_per_problem=8,
            sampling=SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=48),
            num_epochs=8,
            batch_rankings=8,
            micro_batch_tokens=4_096,
            heldout_share=0.25,
            # at a constant rate it stays near chance: what it learns shows once the rate has fallen
            optimiser=adamw(1e-3, warmup_steps=10, decay=((0.2, 0.6), (0.4, 0.36), (0.6, 0.2), (0.8, 0.1))),
            generation_batch=256,
            token_weight=1.0,  # the verdict at every token, also of problems never solved (Cobbe et al. 2021)
            language_weight=1.0,  # and the next token of right responses (docs/reward.md)
        ),
        rl=RLRecipe(
            method="grpo",
            reward="rule",
            mode="tool",  # to copy numbers into a program is what a model this small can learn
            num_steps=80,
            problems_per_step=16,
            group_size=8,
            inner_updates=1,  # §4.2
            clip_eps=0.2,
            kl_coef=0.04,  # §4.2
            advantage_std="population",
            advantage_eps=1e-6,
            sampling=SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=64),
            micro_batch_tokens=4_096,
            optimiser=adamw(2e-4, warmup_steps=10),  # Adam's first steps at the full rate lower the reward
            checkpoint_every=40,
            max_tool_rounds=2,
            generation_batch=128,
        ),
        eval=EvalRecipe(
            modes=("cot", "tool"),
            start_template="short",  # a model from scratch has no chat template
            num_problems=400,
            greedy_max_new_tokens=64,
            num_samples=8,
            num_sampled_problems=100,
            sampling=SamplingRecipe(temperature=0.7, top_p=1.0, top_k=0, max_new_tokens=64),  # §5.2.2's temperature
            max_tool_rounds=2,
            batch_size=128,
        ),
    )


def tiny() -> Recipe:
    """The same stages in two to four minutes: a few hundred pages, fewer problems and steps."""
    whole = recipe()
    assert whole.corpus and whole.corpus.web and whole.corpus.classifier and whole.pretrain and whole.sft
    assert whole.reward and whole.rl and whole.eval
    return replace(
        whole,
        name="quickstart_tiny",
        model=replace(whole.model, max_length=512),
        problems=replace(whole.problems, sources=(replace(whole.problems.sources[0], num_train=600, num_test=120),)),
        corpus=replace(
            whole.corpus,
            web=replace(
                whole.corpus.web,
                packages=("mpmath", "scipy.special", "asyncio", "http", "email"),
                max_pages=300,
                max_pages_per_host=60,
            ),
            seed_urls=("*//mpmath.localhost*/function_docs/*",),
            classifier=replace(whole.corpus.classifier, num_positives=1_000, num_negatives=1_000, buckets=20_000),
            budget_tokens=(15_000, 25_000),
            domain_min_pages=3,
            heldout_share=0.1,
        ),
        pretrain=replace(
            whole.pretrain,
            num_tokens=65_536,
            optimiser=replace(whole.pretrain.optimiser, warmup_steps=4),
            heldout_tokens=8_192,
            checkpoint_every=10,
        ),
        sft=replace(whole.sft, num_examples=0, num_steps=380, checkpoint_every=150),
        reward=replace(
            whole.reward,
            num_problems=600,  # some 2,000 pairs to train on, and with more responses 2,000 to judge by
            num_epochs=12,  # with 8 its lead over the log-probability was 3 points less, and with one seed within noise
            heldout_responses=16,
            generation_batch=128,
        ),
        rl=replace(
            whole.rl,
            num_steps=40,
            num_problems=192,  # each five times: from the first to the last a gain of five to eight times its noise
            problems_per_step=24,
            group_size=4,  # with 8 the reward rose no faster in twenty steps, and each took twice as long
            max_tool_rounds=3,
            optimiser=replace(whole.rl.optimiser, lr=5e-4, warmup_steps=5),
            checkpoint_every=10,
            generation_batch=96,
            saved_groups=24,  # all: the visits to a question are compared
        ),
        eval=replace(whole.eval, num_problems=160, num_samples=4, num_sampled_problems=24, batch_size=64),
    )
