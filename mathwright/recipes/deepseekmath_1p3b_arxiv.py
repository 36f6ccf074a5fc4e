"""Table 8 of arXiv 2402.03300 (§5.1.2): the 1.3B model trained on arXiv papers, which the paper finds to bring nothing.

    mathwright compare deepseekmath_1p3b_arxiv --dry-run --gpus 64

`deepseekmath_7b_arxiv` is the other half of the table. Import corpora as `deepseekmath_1p3b_compare` says.
"""

from mathwright.pretrain.recipe import CompareRecipe, MixtureRecipe, PretrainRecipe
from mathwright.recipe import Recipe
from mathwright.recipes.deepseekmath_1p3b_compare import MODEL, TASKS, TRAINING


def comparison(training: PretrainRecipe) -> CompareRecipe:
    """Two corpora of arXiv papers and the start."""
    return CompareRecipe(
        corpora=(
            MixtureRecipe(name="mathpile", path="corpora/mathpile/shards", weight=1.0),  # §5.1.2: 8.9B tokens
            MixtureRecipe(name="arxiv", path="corpora/redpajama_arxiv/shards", weight=1.0),  # §5.1.2: 28.0B tokens
        ),
        training=training,
        with_start=True,  # Table 8: "No Math Training"
        tasks=TASKS,  # the columns of Table 8 are those of Table 1
        choices=("mmlu_stem", "sat", "gaokao_mathqa"),  # the paper has accuracy alone
        own_heldout=True,  # the paper has none
    )


def recipe() -> Recipe:
    """The first half of Table 8."""
    return Recipe(name="deepseekmath_1p3b_arxiv", model=MODEL, compare=comparison(TRAINING))  # §5.1.2: "150B tokens"
