"""DeepSeekMath 7B (arXiv 2402.03300) at full scale, each value with its source.

Where the paper says nothing the comment begins with "paper silent:" and gives our reason. This needs a copy of Common
Crawl and some hundred GPUs; `mathwright run deepseekmath_7b --dry-run --gpus 512` says what each part would read,
write and need, and every part can be run at another scale with `--set`.
"""

from mathwright.corpus.recipe import ClassifierRecipe, CorpusRecipe, WebRecipe
from mathwright.eval.recipe import EvalRecipe
from mathwright.lm.recipe import ModelRecipe, OptimiserRecipe, SamplingRecipe, ScratchRecipe
from mathwright.pretrain.recipe import ArmRecipe, CompareRecipe, MixtureRecipe, PretrainRecipe
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.recipe import Recipe
from mathwright.reward.recipe import RewardRecipe
from mathwright.rl.recipe import RLRecipe
from mathwright.sft.recipe import SFTRecipe


def recipe() -> Recipe:
    """The paper's experiment."""
    return Recipe(
        name="deepseekmath_7b",  # the paper's title
        seed=0,  # paper silent: any
        # §2.3: "initialized with DeepSeek-Coder-Base-v1.5 7B"
        model=ModelRecipe(
            # Table 4 means the checkpoint right before learning-rate decay, which is not public; the final one is
            source="deepseek-ai/deepseek-coder-7b-base-v1.5",
            # Architecture of that model: its published config.json (used here for the memory estimates)
            scratch=ScratchRecipe(
                vocab_size=102_400,  # config.json of the model
                width=4096,  # config.json of the model
                num_layers=30,  # config.json of the model
                num_heads=32,  # config.json of the model
                num_kv_heads=32,  # config.json of the model
                ffn_width=11_008,  # config.json of the model
            ),
            dtype="bfloat16",  # paper silent: what training at this scale uses; the optimiser's copy is float32
            max_length=4096,  # §2.2: "context length of 4K"
        ),
        template="deepseekmath",  # the released model's card: "User: ...\n\nAssistant: ..." with the suffix on \boxed{}
        # §4.2: "chain-of-thought-format questions related to GSM8K and MATH from the SFT data, around 144K questions"
        problems=ProblemsRecipe(
            sources=(
                ProblemSourceRecipe(
                    source="gsm8k",  # §3.1, §4.2
                    path="openai/gsm8k",  # the benchmark's hub id
                    num_train=7_473,  # all of its training problems; the paper's 144K questions are not public
                    num_test=1_319,  # Table 5: the whole test set
                ),
                ProblemSourceRecipe(
                    source="math",  # §3.1, §4.2
                    path="EleutherAI/hendrycks_math",  # the benchmark's hub id
                    num_train=7_500,  # all of its training problems
                    num_test=5_000,  # Table 5: the whole test set
                ),
            ),
            difficulty=3,  # concerns procedural problems only, of which there are none here
            seed=0,  # paper silent: any
        ),
        # §2.1
        corpus=CorpusRecipe(
            web=WebRecipe(
                kind="archives",  # §2.1: Common Crawl
                archives=("s3://commoncrawl/crawl-data/CC-MAIN-*/segments/*/warc/*.warc.gz",),  # §2.1: 40B HTML pages
                packages=(),  # concerns another kind of web
                start_urls=(),  # concerns another kind of web
                max_pages=40_000_000_000,  # §2.1: "40B HTML web pages" after deduplication
                max_pages_per_host=40_000_000_000,  # paper silent: no limit
                delay_s=0.0,  # concerns crawling only
                requests_per_host=1,  # concerns crawling only
                user_agent="mathwright (+https://github.com/mathwright/mathwright)",  # concerns crawling only
                port=0,  # concerns another kind of web
                archives_prefix="",  # concerns lists of archives only; these names are whole
                order="breadth",  # concerns crawling only
                scope="host",  # concerns crawling only
                rules="",  # concerns crawling only
                classifier="",  # concerns crawling only
                max_depth=0,  # concerns crawling only
                max_hosts=0,  # concerns crawling only
                max_bytes=0,  # concerns crawling only
                max_seconds=0.0,  # concerns crawling only
                patience=0.5,  # concerns crawling only
                nofollow="obey",  # concerns crawling only
                noindex="store",  # concerns crawling only
            ),
            page_classifier="",  # paper silent: all pages are kept until they are ranked
            page_min_score=0.5,  # concerns page_classifier only
            seed_urls=("openwebmath",),  # §2.1: "OpenWebMath ... as our initial seed corpus"
            classifier=ClassifierRecipe(
                num_positives=500_000,  # §2.1: "500,000 data points ... as positive"
                num_negatives=500_000,  # §2.1: "another 500,000 web pages from Common Crawl as negative"
                dim=256,  # §2.1: "vector dimension to 256"
                lr=0.1,  # §2.1: "learning rate to 0.1"
                word_ngrams=3,  # §2.1: "maximum length of word n-gram to 3"
                min_count=3,  # §2.1: "minimum number of word occurrences to 3"
                epochs=3,  # §2.1: "number of training epochs to 3"
                buckets=2_000_000,  # paper silent: fastText's default
                lower=True,  # paper silent: usual for bags of words
                exclude_collected=False,  # §2.1: negatives are pages "from Common Crawl", where mathematics is rare
                balance_archives=True,  # paper silent: "randomly select" from Common Crawl, so from all its archives
                redraw_negatives=True,  # paper silent: others in each iteration
                near_copy_similarity=0.0,  # paper silent: no such rule is named
            ),
            dedup_similarity=0.8,  # paper silent (near-deduplication without a method): common for MinHash
            dedup_permutations=128,  # paper silent: common for MinHash
            dedup_bands=0,  # paper silent: chosen for dedup_similarity
            dedup_keeps="longest",  # paper silent: the fullest copy of a page
            min_words=0,  # paper silent: no length filter is named
            budget_tokens=(
                40_000_000_000,
                120_000_000_000,
            ),  # §2.1: "top-ranking 40B tokens" in iteration 1; 120B in the end
            sweep_tokens=(
                40_000_000_000,
                80_000_000_000,
                120_000_000_000,
                160_000_000_000,
            ),  # §2.1: "top-ranking 40B, 80B, 120B, and 160B tokens"
            max_iterations=4,  # §2.1: "After four iterations"
            stop_overlap=0.98,  # §2.1: "nearly 98% of the data has already been collected in the third iteration"
            domain_share=0.1,  # §2.1: "over 10% of the web pages have been collected"
            domain_min_pages=1,  # paper silent: no minimum is named
            domain_unit="host",  # §2.1: "web pages sharing the same base URL"
            annotation="people",  # §2.1: "manually annotate the URLs"; automatic runs without pauses
            prefix_share=0.5,  # §2.1: "manually annotate the URLs"; this is for where nobody has
            rules="",  # §2.1: a file of the annotated URL prefixes goes here
            decontaminate_ngram=10,  # §2.1: "10-gram string that matches exactly"
            decontaminate_short_ngram=3,  # §2.1: "shorter than 10 grams but have at least 3 grams"
            decontaminate_mode="segment",  # §2.1: "any text segment containing a 10-gram string that matches exactly"
            decontaminate_min_words=3,  # paper silent: an answer such as \\frac{3}{4} would drop every page that has it
            decontaminate_cjk_chars=1,  # paper silent: what a gram is in Chinese
            benchmark_data="",  # paper silent: the published files
            filters=None,  # paper silent: no filter of language, length or repetition is named
            benchmarks=("gsm8k", "math", "cmath", "agieval"),  # §2.1 names these four, "such as"
            heldout_share=0.0001,  # paper silent: enough text to measure bits per byte
            measure=True,  # paper silent: it names no measure of the corpus but training on it
            sheet_pages=40,  # concerns measure only
            labels="",  # concerns measure only: the paper has no labelled pages
        ),
        # §2.2, Table 1
        compare=CompareRecipe(
            # §2.2: "DeepSeek-LLM 1.3B", which is not public; the nearest public base model of the family stands in
            model=ModelRecipe(
                source="deepseek-ai/deepseek-coder-1.3b-base",  # stand-in, see above
                # Architecture of the stand-in: its published config.json
                scratch=ScratchRecipe(
                    vocab_size=32_256,  # config.json of the stand-in
                    width=2048,  # config.json of the stand-in
                    num_layers=24,  # config.json of the stand-in
                    num_heads=16,  # config.json of the stand-in
                    num_kv_heads=16,  # config.json of the stand-in
                    ffn_width=5504,  # config.json of the stand-in
                ),
                dtype="bfloat16",  # paper silent: as for the 7B model
                max_length=4096,  # §2.2: "context length of 4K"
            ),
            corpora=(
                MixtureRecipe(
                    name="mathpile", path="corpora/mathpile/shards", weight=1.0
                ),  # §2.2: MathPile, 8.9B tokens
                MixtureRecipe(name="openwebmath", path="corpora/openwebmath/shards", weight=1.0),  # §2.2: 13.6B tokens
                MixtureRecipe(name="mined", path="run:corpus", weight=1.0),  # §2.2: the corpus of §2.1
            ),
            arms=(
                ArmRecipe(
                    name="proof_pile_2",
                    mixture=(
                        # §2.2: "arXiv:Web:Code of 2:4:1"
                        MixtureRecipe(name="pp2_arxiv", path="corpora/proof_pile_2_arxiv/shards", weight=2 / 7),
                        # §2.2: "arXiv:Web:Code of 2:4:1"
                        MixtureRecipe(name="pp2_web", path="corpora/proof_pile_2_web/shards", weight=4 / 7),
                        # §2.2: "arXiv:Web:Code of 2:4:1"
                        MixtureRecipe(name="pp2_code", path="corpora/proof_pile_2_code/shards", weight=1 / 7),
                    ),
                ),  # §2.2: Proof-Pile-2, 51.9B tokens
            ),
            training=PretrainRecipe(
                mixture=(),  # each corpus of the comparison in turn
                num_tokens=150_000_000_000,  # §2.2: "150B tokens"
                batch_tokens=4_000_000,  # §2.2: "batch size of 4M tokens"
                micro_batch_tokens=16_384,  # paper silent: memory of one forward, changes nothing else
                context=4096,  # §2.2: "4K context length"
                # §2.2: AdamW and a multi-step schedule
                optimiser=OptimiserRecipe(
                    lr=5.3e-4,  # §2.2: "maximum learning rate to 5.3e-4"
                    beta1=0.9,  # §2.2
                    beta2=0.95,  # §2.2
                    eps=1e-8,  # paper silent: AdamW's default
                    weight_decay=0.1,  # §2.2
                    clip_norm=1.0,  # paper silent: as in DeepSeek-LLM
                    warmup_steps=2_000,  # §2.2: "after 2,000 warmup steps"
                    decay=((0.8, 0.316), (0.9, 0.1)),  # §2.2: "31.6% after 80%", "10.0% after 90% of the training"
                ),
                heldout_tokens=10_000_000,  # paper silent: it evaluates benchmarks, we add bits per byte
                checkpoint_every=1_000,  # paper silent: at most an hour's work is lost
                num_points=30,  # Figure 3: a point every 5B tokens
            ),
        ),
        # §2.3
        pretrain=PretrainRecipe(
            mixture=(
                MixtureRecipe(name="deepseekmath_corpus", path="run:corpus", weight=0.56),  # §2.3: "56%"
                MixtureRecipe(name="algebraic_stack", path="corpora/algebraic_stack/shards", weight=0.04),  # §2.3: "4%"
                MixtureRecipe(name="arxiv", path="corpora/arxiv/shards", weight=0.10),  # §2.3: "10%"
                MixtureRecipe(name="github_code", path="corpora/github_code/shards", weight=0.20),  # §2.3: "20%"
                MixtureRecipe(name="cc_natural_language", path="corpora/cc_en_zh/shards", weight=0.10),  # §2.3: "10%"
            ),
            num_tokens=500_000_000_000,  # §2.3: "500B tokens"
            batch_tokens=10_000_000,  # §2.3: "batch size of 10M tokens"
            micro_batch_tokens=8_192,  # paper silent: memory of one forward, changes nothing else
            context=4096,  # §2.2: "4K context length"
            # §2.3: "mainly adopt the training setting specified in Section 2.2.1"
            optimiser=OptimiserRecipe(
                lr=4.2e-4,  # §2.3: "maximum value of the learning rate to 4.2e-4"
                beta1=0.9,  # §2.2
                beta2=0.95,  # §2.2
                eps=1e-8,  # paper silent: AdamW's default
                weight_decay=0.1,  # §2.2
                clip_norm=1.0,  # paper silent: as in DeepSeek-LLM
                warmup_steps=2_000,  # §2.2
                decay=((0.8, 0.316), (0.9, 0.1)),  # §2.2
            ),
            heldout_tokens=10_000_000,  # paper silent: it evaluates benchmarks, we add bits per byte
            checkpoint_every=500,  # paper silent: at most an hour's work is lost
            num_points=20,  # paper silent: a point every 25B tokens
        ),
        # §3
        sft=SFTRecipe(
            formats=("cot", "pot", "tool"),  # §3.1: the three formats
            num_examples=776_000,  # §3.1: "776K"
            context=4096,  # §3.2: "randomly concatenated until reaching a maximum context length of 4K tokens"
            batch_rows=256,  # §3.2: "batch size of 256"
            num_steps=500,  # §3.2: "500 steps"
            optimiser=OptimiserRecipe(
                lr=5e-5,  # §3.2: "constant learning rate of 5e-5"
                beta1=0.9,  # paper silent: as in pre-training
                beta2=0.95,  # paper silent: as in pre-training
                eps=1e-8,  # paper silent: AdamW's default
                weight_decay=0.1,  # paper silent: as in pre-training
                clip_norm=1.0,  # paper silent: as in pre-training
                warmup_steps=0,  # §3.2: constant
                decay=(),  # §3.2: constant
            ),
            checkpoint_every=100,  # paper silent
            # §3.1: GSM8K and MATH with tool-integrated solutions, a subset of MathInstruct, the training part of
            # Lila-OOD, and Chinese K-12 problems of 76 sub-topics.
            # Public: MathInstruct (262K) and Lila, by `sft import`. Not public: the tool-integrated solutions, which
            # `sft annotate` can make again, which subset it was, and the Chinese problems, in whose place stand
            # Ape210K, Math23K and TAL-SCQ5K. Unofficial estimate of the 776K: 69K, 200K, 32K, and 476K Chinese ones.
            solutions=(
                "solutions/gsm8k_math_tool",
                "solutions/mathinstruct",
                "solutions/lila_ood",
                "solutions/chinese_k12",
            ),
        ),
        # §4.2
        reward=RewardRecipe(
            num_problems=14_973,  # paper silent: all training problems of GSM8K and MATH
            responses_per_problem=15,  # §4.2 follows Math-Shepherd, which samples 15 solutions a problem
            sampling=SamplingRecipe(
                temperature=0.7,  # paper silent: as in its Figure 7
                top_p=1.0,  # paper silent
                top_k=0,  # paper silent
                max_new_tokens=1024,  # §4.2: "max length is set to 1024"
            ),
            num_epochs=1,  # paper silent: Math-Shepherd's
            batch_rankings=64,  # paper silent
            micro_batch_tokens=16_384,  # paper silent: memory of one forward, changes nothing else
            heldout_share=0.02,  # paper silent: to measure how well it ranks
            optimiser=OptimiserRecipe(
                lr=2e-5,  # §4.2: "reward model ... learning rate of 2e-5"
                beta1=0.9,  # paper silent: as in pre-training
                beta2=0.95,  # paper silent: as in pre-training
                eps=1e-8,  # paper silent: AdamW's default
                weight_decay=0.0,  # paper silent: usual for a short fine-tuning
                clip_norm=1.0,  # paper silent: as in pre-training
                warmup_steps=100,  # paper silent: the head is new
                decay=(),  # paper silent
            ),
            checkpoint_every=50,  # paper silent
            generation_batch=256,  # paper silent: memory of the cache, changes nothing else
        ),
        # §4.2
        rl=RLRecipe(
            method="grpo",  # §4.1.2: outcome supervision; grpo_process for §4.1.3
            reward="model",  # §4.1.1: the learned reward model
            mode="cot",  # §4.2: "chain-of-thought-format questions"
            num_steps=1_770,  # Figure 6: iterations of 1,100, 1,600 and 2,600 steps; here they are alike
            problems_per_step=16,  # §4.2: batch 1024 = 16 questions x 64 outputs, the reading that fits the figures
            group_size=64,  # §4.2: "64 outputs for each question"
            inner_updates=1,  # §4.2: "a single update following each exploration stage"
            clip_eps=0.2,  # paper silent: PPO's usual value; inactive with one update
            clip_eps_high=None,  # Eq. 3 clips by one eps on both sides; concerns dapo
            kl_coef=0.04,  # §4.2: "KL coefficient is 0.04"
            advantage_std="population",  # paper silent: std(r) over the group itself, not an estimate for a larger one
            advantage_eps=1e-6,  # paper silent: keeps the division finite
            sampling=SamplingRecipe(
                temperature=1.0,  # paper silent: the policy itself
                top_p=1.0,  # paper silent: the policy itself
                top_k=0,  # paper silent: the policy itself
                max_new_tokens=1024,  # §4.2: "max length is set to 1024"
            ),
            micro_batch_tokens=16_384,  # paper silent: memory of one forward, changes nothing else
            optimiser=OptimiserRecipe(
                lr=1e-6,  # §4.2: "policy model learning rate of 1e-6"
                beta1=0.9,  # paper silent: as in pre-training
                beta2=0.95,  # paper silent: as in pre-training
                eps=1e-8,  # paper silent: AdamW's default
                weight_decay=0.0,  # paper silent: the KL term is the regulariser
                clip_norm=1.0,  # paper silent: as in pre-training
                warmup_steps=0,  # paper silent
                decay=(),  # paper silent
            ),
            checkpoint_every=50,  # paper silent
            extra_rewards=(),  # §4.2: the reward model alone
            max_tool_rounds=4,  # §4.2: chain of thought only; concerns mode tool
            generation_batch=256,  # paper silent: memory of the cache, changes nothing else
            saved_groups=4,  # paper silent: groups written out in full at each step, to be looked at
            step_reward="arithmetic",  # concerns grpo_process; the paper learns its step rewards (§4.1.3)
            reference="",  # Algorithm 1: pi_ref is the policy the iteration begins with
            num_minibatches=1,  # §4.2: one update following each exploration
            max_resampling=0,  # the paper keeps groups of equal rewards
            max_logprob_gap=1.0,  # paper silent: stops what would train on other tokens than were drawn
            wave_responses=1024,  # paper silent: a whole step; what a kill costs at most
            evaluate_every=100,  # paper silent: Figures 5 and 6 have a point about every 200
            num_evaluated=200,  # paper silent
            lora=None,  # paper silent: all weights
            iterations=3,  # Figure 6: Iteration-0, -1 and -2
            reset_reference=True,  # Algorithm 1, line 3
            refresh_reward=True,  # Algorithm 1, line 12
            replay_share=0.1,  # §4.1.4: "a replay mechanism that incorporates 10% of historical data"
            when_gamed="stop",  # paper silent: an iteration ends where the reward rises and correct answers fall
            truncated_sampling="refuse",  # paper silent: Eq. 3 is of the distribution that is drawn from
            checkpoint_activations=True,  # paper silent: memory, changes nothing else
            engine="local",  # paper silent
        ),
        # §2.3, §3.2, §5.2
        eval=EvalRecipe(
            modes=("cot", "tool"),  # Table 5: without and with tools
            start_template="deepseekmath",  # paper silent: it asks base models few-shot instead
            num_problems=6_319,  # Table 5: GSM8K 1,319 and MATH 5,000
            greedy_max_new_tokens=1024,  # the authors' evaluation code
            num_samples=64,  # Figure 7: K up to 64
            num_sampled_problems=6_319,  # Figure 7: all
            sampling=SamplingRecipe(
                temperature=0.7,  # Figure 7: "temperature 0.7"
                top_p=1.0,  # paper silent
                top_k=0,  # paper silent
                max_new_tokens=1024,  # the authors' evaluation code
            ),
            max_tool_rounds=4,  # paper silent: enough for the transcripts the authors publish
            batch_size=256,  # paper silent: memory of the cache, changes nothing else
        ),
    )
