"""Table 1 of arXiv 2402.03300: the same 1.3B model trained for 150B tokens on each of four corpora, and on none.

    mathwright corpus import mathpile PATH --tokenizer deepseek-ai/deepseek-coder-1.3b-base \\
        --decontaminate gsm8k,math,cmath,agieval --heldout-share 0.001 --out corpora/mathpile
    mathwright compare deepseekmath_1p3b_compare --dry-run --gpus 64
    torchrun --nproc-per-node 8 -m mathwright compare deepseekmath_1p3b_compare --device cuda

Import `openwebmath` and `proof_pile_2` (--subset arxiv, web, code) likewise, and the corpus of a run of one's own as
`corpora/mined` (its `documents.parquet` with the layout `text`). Further sizes by `--set`, for instance
`--set compare.training.num_tokens=1000000000`.
"""

from mathwright.lm.recipe import ModelRecipe, OptimiserRecipe, ScratchRecipe
from mathwright.pretrain.recipe import ArmRecipe, CompareRecipe, MixtureRecipe, PretrainRecipe
from mathwright.recipe import Recipe

MODEL = ModelRecipe(
    # §2.2: "DeepSeek-LLM 1.3B", which is not public; the nearest public base model of the family stands in
    source="deepseek-ai/deepseek-coder-1.3b-base",
    # Architecture of the stand-in: its published config.json
    scratch=ScratchRecipe(vocab_size=32_256, width=2048, num_layers=24, num_heads=16, num_kv_heads=16, ffn_width=5504),
    dtype="bfloat16",
    max_length=4096,  # §2.2: "4K context length"
)

TRAINING = PretrainRecipe(
    mixture=(),  # that of each arm in turn
    num_tokens=150_000_000_000,  # §2.2: "150B tokens"
    batch_tokens=4_000_000,  # §2.2: "batch size of 4M tokens"
    micro_batch_tokens=16_384,
    context=4096,  # §2.2: "4K context length"
    optimiser=OptimiserRecipe(
        lr=5.3e-4,  # §2.2: "maximum learning rate to 5.3e-4"
        beta1=0.9,  # §2.2
        beta2=0.95,  # §2.2
        weight_decay=0.1,  # §2.2
        warmup_steps=2_000,  # §2.2: "after 2,000 warmup steps"
        decay=((0.8, 0.316), (0.9, 0.1)),  # §2.2: "31.6% ... after 80%", "10.0% ... after 90%"
    ),
    heldout_tokens=10_000_000,
    checkpoint_every=500,
    num_points=30,  # Figure 3: a point every 5B tokens
)

TASKS = ("gsm8k", "math", "ocw", "sat", "mmlu_stem", "cmath", "gaokao_mathcloze", "gaokao_mathqa")
"""The columns of Table 1."""


def recipe() -> Recipe:
    """Four corpora and none, one seed, as in the paper; a verdict needs `--set compare.seeds=[0,1,2]`."""
    return Recipe(
        name="deepseekmath_1p3b_compare",
        model=MODEL,
        compare=CompareRecipe(
            corpora=(
                MixtureRecipe(name="mathpile", path="corpora/mathpile/shards", weight=1.0),  # 8.9B tokens
                MixtureRecipe(name="openwebmath", path="corpora/openwebmath/shards", weight=1.0),  # 13.6B tokens
                MixtureRecipe(name="mined", path="corpora/mined/shards", weight=1.0),  # the paper's has 120.2B
            ),
            arms=(
                ArmRecipe(
                    name="proof_pile_2",  # 51.9B tokens
                    mixture=(  # §2.2: "arXiv:Web:Code of 2:4:1"
                        MixtureRecipe(name="pp2_arxiv", path="corpora/proof_pile_2_arxiv/shards", weight=2 / 7),
                        MixtureRecipe(name="pp2_web", path="corpora/proof_pile_2_web/shards", weight=4 / 7),
                        MixtureRecipe(name="pp2_code", path="corpora/proof_pile_2_code/shards", weight=1 / 7),
                    ),
                ),
            ),
            training=TRAINING,
            with_start=True,  # Table 1: "No Math Training"
            tasks=TASKS,
            choices=("mmlu_stem", "sat", "gaokao_mathqa"),  # the paper has accuracy alone
            own_heldout=True,  # the paper has none
        ),
    )
