"""Table 8 of arXiv 2402.03300 (§5.1.2), its second half: DeepSeek-Coder-Base-v1.5 7B trained on arXiv papers.

    mathwright compare deepseekmath_7b_arxiv --dry-run --gpus 512

Its models prove the statements of Table 9 (miniF2F) too, which only a prover can judge: docs/evaluation.md.
"""

from dataclasses import replace

from mathwright.recipe import Recipe
from mathwright.recipes import deepseekmath_7b
from mathwright.recipes.deepseekmath_1p3b_arxiv import comparison


def recipe() -> Recipe:
    """40B tokens a corpus, otherwise trained as in §2.3."""
    whole = deepseekmath_7b.recipe()
    assert whole.pretrain is not None
    training = replace(
        whole.pretrain,  # paper silent on this experiment: batch and rate of the 7B model, §2.3
        mixture=(),
        num_tokens=40_000_000_000,  # §5.1.2: "40B tokens"
        num_points=20,
    )
    return Recipe(name="deepseekmath_7b_arxiv", model=whole.model, compare=comparison(training))
