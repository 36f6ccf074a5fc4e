"""§2.1: how the corpus is collected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRecipe:
    """Where pages come from."""

    kind: Literal["package_docs", "archives", "crawl"]
    """package_docs: crawl the documentation of the installed Python packages, served on the loopback;
    archives: read WARC files that are there; crawl: crawl the given start URLs."""
    archives: tuple[str, ...]
    """Paths, globs or URLs of WARC files (kind archives)."""
    packages: tuple[str, ...]
    """Import names of packages (kind package_docs)."""
    start_urls: tuple[str, ...]
    """Where the crawl starts (kind crawl)."""
    max_pages: int
    max_pages_per_host: int
    delay_s: float
    """Seconds between two requests to one host; robots.txt may ask for more."""
    requests_per_host: int
    user_agent: str
    port: int = 0
    """Port on which package_docs serves; 0 is any that is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierRecipe:
    """fastText, with the paper's hyper-parameters as its fields."""

    num_positives: int
    num_negatives: int
    dim: int
    lr: float
    word_ngrams: int
    min_count: int
    epochs: int
    buckets: int
    """Hash buckets of the n-grams (fastText's default is 2,000,000; memory is buckets * dim * 4 bytes)."""
    lower: bool = True
    """Lower-case the text in front of the classifier."""
    exclude_collected: bool = True
    """Leave pages collected in the iteration before out of the negatives. The paper draws them from all of Common
    Crawl, where mathematics is rare; in a small pool it is not, and would be taught as its own opposite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRecipe:
    """Filters of pages before deduplication. As it stands each is off; formulas take no part in any."""

    languages: tuple[str, ...] = ()
    """ISO 639 codes of the languages that stay; none: all."""
    min_confidence: float = 0.5
    """A page in another language is left out where that is at least so sure; a doubtful page stays."""
    language_model: str = ""
    """A fastText model (lid.176.ftz: ten times as fast); "" is py3langid."""
    max_words: int = 0
    """Longer pages are left out; 0 is no limit (`min_words` is the recipe's own)."""
    max_duplicate_lines: float = 1.0
    """Share of lines that came before on the page; Gopher has 0.3."""
    max_duplicate_line_chars: float = 1.0
    """Share of characters in such lines; Gopher has 0.2."""
    max_top_ngram: tuple[tuple[int, float], ...] = ()
    """(n, share): characters of the most frequent n-gram; Gopher has (2, 0.20), (3, 0.18), (4, 0.16)."""
    max_duplicate_ngrams: tuple[tuple[int, float], ...] = ()
    """(n, share): characters in n-grams that came before; Gopher has (5, 0.15) to (10, 0.10)."""


GOPHER_REPETITION = FilterRecipe(
    max_duplicate_lines=0.3,
    max_duplicate_line_chars=0.2,
    max_top_ngram=((2, 0.20), (3, 0.18), (4, 0.16)),
    max_duplicate_ngrams=((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)),
)
"""The thresholds of Gopher (Rae et al. 2021, Table A1) for repetition inside a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusRecipe:
    """The corpus pipeline."""

    web: WebRecipe
    seed_urls: tuple[str, ...]
    """URL globs of the seed pages (first positives)."""
    classifier: ClassifierRecipe
    dedup_similarity: float
    """Jaccard similarity of 5-word shingles from which two documents count as near-duplicates."""
    dedup_permutations: int
    min_words: int
    """Documents with fewer words are dropped."""
    budget_tokens: tuple[int, ...]
    """Tokens kept by rank after each iteration; the last value serves for all later iterations."""
    max_iterations: int
    stop_overlap: float
    """Stop when this share of the collected pages was already collected in the iteration before."""
    domain_share: float
    """A domain is mathematical when more than this share of its pages was collected."""
    domain_min_pages: int
    prefix_share: float = 0.5
    """An automatic rule accepts a URL path prefix when the lower end of the 95% interval of its collected share is
    above this (the paper has people decide)."""
    rules: str = ""
    """A rules.toml of one's own, which goes before the automatic rules; "" is none."""
    decontaminate_ngram: int
    decontaminate_short_ngram: int
    """Benchmark texts of this many up to decontaminate_ngram - 1 words are matched as a whole."""
    benchmarks: tuple[str, ...]
    """Names of benchmarks (problems.BENCHMARKS, or agieval) or JSONL files whose questions and answers are kept out,
    beside the run's own evaluation problems."""
    heldout_share: float
    """Share of the final documents kept out of the shards to measure bits per byte."""
    decontaminate_mode: Literal["span", "segment", "page"] = "segment"
    """What goes for a match: the matching text alone; each paragraph it touches, and the page for a short benchmark
    text (the paper's words); or always the page."""
    decontaminate_min_words: int = 3
    """Identifying words of a benchmark text that is matched as a whole; with 0 every answer of three grams, such as
    \\frac{3}{4}, drops the pages that have it."""
    decontaminate_cjk_chars: int = 1
    """CJK characters that count as one gram (paper silent); 2 is about the length of a Chinese word."""
    benchmark_data: str = ""
    """Folder with the files of benchmarks given by name; "" asks the Hugging Face hub."""
    filters: FilterRecipe | None = None
    """Filters of language, length and repetition; None (the paper names none) keeps every page."""
