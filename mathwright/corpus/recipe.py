"""§2.1: how the corpus is collected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mathwright.corpus.rules.domains import DomainUnit
from mathwright.run.affects import ADDED, DISPLAY, RESULT, SPEED


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRecipe:
    """Where pages come from."""

    kind: Literal["package_docs", "archives", "crawl"] = "archives"
    """package_docs: crawl the documentation of the installed Python packages, served on the loopback;
    archives: read WARC files that are there; crawl: crawl the given start URLs."""
    archives: tuple[str, ...] = ()
    """Paths, globs or URLs of WARC files, or of lists of them such as warc.paths.gz (kind archives)."""
    packages: tuple[str, ...] = ()
    """Import names of packages (kind package_docs)."""
    start_urls: tuple[str, ...] = ()
    """Where the crawl starts (kind crawl)."""
    max_pages: int = 10_000
    """Pages a crawl fetches; archives are read whole."""
    max_pages_per_host: int = 10_000
    """Likewise, of one host."""
    delay_s: Annotated[float, SPEED] = 1.0
    """Seconds between two requests to one host; robots.txt may ask for more."""
    requests_per_host: Annotated[int, SPEED] = 1
    """Under way at one time; more is impolite."""
    user_agent: str = "mathwright"
    """How a crawl names itself; say in it how you can be reached."""
    port: int = 0
    """Port on which package_docs serves; 0 is any that is free."""
    archives_prefix: str = ""
    """What the lines of a list of archives (.paths, .paths.gz) are relative to; "" is the root of the list's host or
    bucket, or the folder of a list on disk."""
    order: Literal["breadth", "score"] = "breadth"
    """breadth: level by level within the hosts of the start URLs, the same pages in every run;
    score: what a classifier thinks most mathematical first (breadth-first without one), resumable, any scope."""
    scope: Literal["host", "domain", "prefixes", "any"] = "host"
    """Order score may fetch: host: from the hosts of the start URLs; domain: from their registered domains; prefixes:
    URLs that `rules` accept; any: from any host."""
    rules: str = ""
    """A rules.toml (order score): what it rejects is never fetched, what it accepts is the scope `prefixes`."""
    classifier: str = ""
    """Folder of a trained classifier (order score), such as RUN/corpus/iteration-2."""
    max_depth: int = 0
    """Links from a start URL (order score); 0 is no limit."""
    max_hosts: int = 0
    """Hosts visited (order score); 0 is no limit."""
    max_bytes: int = 0
    """Bytes of HTML after which order score ends; 0 is no limit."""
    max_seconds: Annotated[float, RESULT] = 0.0
    """Time after which order score ends, earlier runs of the same crawl included; 0 is no limit."""
    patience: float = 0.5
    """Order score waits for a better host rather than fetch what has less than this share of its priority; 0: never."""
    nofollow: Literal["obey", "ignore"] = "obey"
    """Whether order score follows links that are marked nofollow."""
    noindex: Literal["store", "skip"] = "store"
    """Whether order score keeps pages that ask search engines not to index them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierRecipe:
    """fastText, with the paper's hyper-parameters as its fields."""

    num_positives: int = 500_000
    """§2.1. Where there are fewer pages, passages of them are drawn until there are so many."""
    num_negatives: int = 500_000
    """§2.1; likewise."""
    dim: int = 256
    """§2.1."""
    lr: float = 0.1
    """§2.1."""
    word_ngrams: int = 3
    """§2.1."""
    min_count: int = 3
    """§2.1."""
    epochs: int = 3
    """§2.1."""
    buckets: int = 200_000
    """Hash buckets of the n-grams (fastText's default is 2,000,000; memory is buckets * dim * 4 bytes)."""
    lower: bool = True
    """Lower-case the text in front of the classifier."""
    exclude_collected: bool = True
    """Leave pages collected in the iteration before out of the negatives. The paper draws them from all of Common
    Crawl, where mathematics is rare; in a small pool it is not, and would be taught as its own opposite."""
    balance_archives: bool = True
    """Take negatives from the archives in turns (the paper: "random web pages from uncompressed Common Crawl")."""
    redraw_negatives: bool = True
    """Draw other negatives in each iteration (paper silent)."""
    near_copy_similarity: float = 0.5
    """Jaccard similarity of 5-word shingles from which a page is too like a positive to be a negative; 0 is off (paper
    silent: a copy of a seed page under another address is not another topic)."""


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

    web: WebRecipe = WebRecipe()
    seed_urls: tuple[str, ...] = ()
    """URL globs of the seed pages (first positives)."""
    classifier: ClassifierRecipe = ClassifierRecipe()
    dedup_similarity: float = 0.8
    """Jaccard similarity of 5-word shingles from which two documents count as near-duplicates."""
    dedup_permutations: int = 64
    """Of MinHash: the similarity is found to within 0.06."""
    min_words: int = 20
    """Documents with fewer words are dropped."""
    budget_tokens: tuple[int, ...] = ()
    """Tokens kept by rank after each iteration; the last value serves for all later iterations. None: `budget_share`
    of what there is."""
    max_iterations: int = 4
    """§2.1."""
    stop_overlap: float = 0.98
    """Stop when this share of the collected pages was already collected in the iteration before (§2.1)."""
    domain_share: float = 0.1
    """A domain is mathematical when more than this share of its pages was collected (§2.1)."""
    domain_min_pages: int = 5
    """With fewer pages a share says nothing."""
    prefix_share: float = 0.5
    """An automatic rule accepts a URL path prefix when the lower end of the 95% interval of its collected share is
    above this (the paper has people decide)."""
    rules: str = ""
    """A rules.toml of one's own, which goes before the automatic rules; "" is none. The run's own (RUN/rules.toml, by
    `mathwright corpus annotate`) is read in any case and goes before both."""
    decontaminate_ngram: int = 10
    """§2.1."""
    decontaminate_short_ngram: int = 3
    """Benchmark texts of this many up to decontaminate_ngram - 1 words are matched as a whole (§2.1)."""
    benchmarks: tuple[str, ...] = ()
    """Names of benchmarks (problems.BENCHMARKS, or agieval) or JSONL files whose questions and answers are kept out,
    in addition to the run's own evaluation problems."""
    heldout_share: float = 0.02
    """Share of the final documents kept out of the shards to measure bits per byte."""
    page_classifier: str = ""
    """Folder of a trained classifier by which pages are dropped as soon as they are extracted, for archives too large
    to keep (iteration-K of an earlier run); "" keeps all pages."""
    page_min_score: float = 0.5
    """Probability below which page_classifier drops a page."""
    dedup_bands: int = 0
    """LSH bands of the near-deduplication; 0 chooses them for dedup_similarity."""
    dedup_keeps: Literal["longest", "earliest", "url"] = "longest"
    """Which page of a cluster of duplicates stays: the longest, the one archived first, that of the smallest URL."""
    sweep_tokens: Annotated[tuple[int, ...], DISPLAY] = ()
    """Further budgets of which the last ranking says what they would collect (§2.1: 40B, 80B, 120B, 160B)."""
    measure: Annotated[bool, DISPLAY] = True
    """Measure the last iteration by two classifiers of halves of the seed that share no host, and write a sheet of
    pages around the cut for a person to label."""
    sheet_pages: Annotated[int, DISPLAY] = 40
    """Pages of each of its five strata on that sheet."""
    labels: Annotated[str, DISPLAY] = ""
    """JSON lines with `url` and `label` (true or false): pages of which it is known whether they are of the domain
    sought. They take no part in the mining; precision, recall and calibration are measured against them."""
    domain_unit: DomainUnit = "host"
    """host, or registered: hosts of one owner are one domain (en.wikipedia.org, de.wikipedia.org)."""
    annotation: Literal["automatic", "people"] = "automatic"
    """automatic: rules are proposed where nobody has decided; people, as in the paper: only rules of people count, and
    the run pauses after each iteration for `mathwright corpus annotate`."""
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
    budget_share: Annotated[float, ADDED] = 0.25
    """Without `budget_tokens`: the share of the tokens of all pages that is kept after each iteration. A quarter is
    more than most crawls have of any one subject, and leaves pages that are none."""
    filters: FilterRecipe | None = None
    """Filters of language, length and repetition; None (the paper names none) keeps every page."""
