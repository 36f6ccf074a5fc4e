"""What options of other tools are called here: who types a name of TRL, verl, lm-eval or datatrove is told ours.

An answer that begins with "nothing:" says why there is no such option. In each answer PART stands for the part of a
recipe that is spoken of: sft, reward, rl, pretrain.
"""

from __future__ import annotations

TRL = {
    "num_generations": "rl.group_size",
    "beta": "rl.kl_coef",
    "epsilon": "rl.clip_eps",
    "epsilon_high": "rl.clip_eps_high, with rl.method=dapo",
    "max_completion_length": "rl.sampling.max_new_tokens",
    "max_prompt_length": "nothing: prompts are never cut, and those too long are left out and counted",
    "learning_rate": "PART.optimiser.lr",
    "weight_decay": "PART.optimiser.weight_decay",
    "adam_beta1": "PART.optimiser.beta1",
    "adam_beta2": "PART.optimiser.beta2",
    "adam_epsilon": "PART.optimiser.eps",
    "max_grad_norm": "PART.optimiser.clip_norm",
    "warmup_ratio": "PART.optimiser.warmup_steps, in steps",
    "lr_scheduler_type": "PART.optimiser.decay, as [[0.8,0.316]]: from 80% of the steps on a third of the rate",
    "num_train_epochs": "PART.num_epochs (sft, reward, pretrain), or rl.num_steps",
    "num_epochs": "PART.num_epochs (sft, reward, pretrain), or rl.num_steps",
    "epochs": "PART.num_epochs (sft, reward, pretrain), or rl.num_steps",
    "max_steps": "PART.num_steps",
    "per_device_train_batch_size": "sft.batch_rows, or rl.problems_per_step; memory is bounded by micro_batch_tokens",
    "gradient_accumulation_steps": "PART.micro_batch_tokens, which bounds the memory and changes no result",
    "batch_size": "sft.batch_rows, pretrain.batch_tokens or rl.problems_per_step",
    "generation_batch_size": "rl.generation_batch",
    "steps_per_generation": "rl.num_minibatches",
    "num_iterations": "rl.inner_updates",
    "max_length": "sft.context",
    "max_seq_length": "sft.context",
    "packing": "nothing: examples are always packed, and do not see each other",
    "completion_only_loss": "nothing: prompts are never trained on",
    "assistant_only_loss": "nothing: only the assistant's turns are trained on",
    "save_steps": "PART.checkpoint_every",
    "save_strategy": "PART.checkpoint_every",
    "eval_steps": "sft.evaluate_every or rl.evaluate_every",
    "eval_strategy": "sft.evaluate_every or rl.evaluate_every",
    "early_stopping_patience": "sft.patience",
    "load_best_model_at_end": "sft.choose=loss or accuracy",
    "metric_for_best_model": "sft.choose=loss or accuracy",
    "logging_steps": "nothing: every step is in RUN/STAGE/metrics.jsonl",
    "report_to": "--track wandb or trackio; TensorBoard reads RUN as it is, and `mathwright report RUN` draws it",
    "use_vllm": "rl.engine=vllm",
    "vllm_mode": "rl.engine=vllm",
    "mask_truncated_completions": "rl.mask_truncated",
    "loss_type": "rl.method: grpo, dr_grpo, dapo, ... (`mathwright show methods`)",
    "scale_rewards": "rl.method=dr_grpo, which does not divide by the deviation",
    "reward_funcs": "--reward my_rewards.py:f, or rl.extra_rewards",
    "reward_weights": "the weight of each of rl.extra_rewards",
    "reward_model": "rl.reward=model, with a reward part in the recipe",
    "dataset": "--problems, --data, --pairs or --text, whatever the verb reads",
    "dataset_name": "--problems, --data, --pairs or --text; a data set of the hub is hub:OWNER/NAME",
    "train_dataset": "--problems, --data, --pairs or --text",
    "model_name": "--model",
    "model_name_or_path": "--model",
    "output_dir": "--out",
    "bf16": "model.dtype=bfloat16",
    "fp16": "model.dtype=bfloat16; there is no training in float16",
    "torch_dtype": "model.dtype",
    "gradient_checkpointing": "rl.checkpoint_activations",
    "use_peft": "PART.lora={}",
    "lora_r": "PART.lora.rank",
    "lora_alpha": "PART.lora.alpha",
    "lora_dropout": "PART.lora.dropout",
    "lora_target_modules": "PART.lora.targets",
    "sync_ref_model": "rl.iterations: pi_ref is the policy of the iteration before",
    "ref_model": "rl.reference",
    "enable_thinking": "--enable-thinking, or the recipe's `enable_thinking`",
    "chat_template_kwargs": "--enable-thinking, or the recipe's `enable_thinking`",
    "system_prompt": "--system, or the recipe's `system`",
    "chat_template": "the recipe's `template`",
    "top_p": "PART.sampling.top_p",
    "top_k": "PART.sampling.top_k",
    "temperature": "PART.sampling.temperature",
    "max_new_tokens": "PART.sampling.max_new_tokens",
    "max_tokens": "PART.sampling.max_new_tokens",
    "lr": "PART.optimiser.lr",
    "warmup_steps": "PART.optimiser.warmup_steps",
    "num_train_steps": "PART.num_steps",
    "resume_from_checkpoint": "nothing: the same command resumes where it was stopped",
    "overwrite_output_dir": "--clear",
    "push_to_hub": "nothing: RUN/STAGE/model is a folder that `hf upload` takes",
    "deepspeed": "torchrun: states are sharded by FSDP2 (docs/training.md)",
}
"""Of TRL's configurations and transformers' TrainingArguments."""

VERL = {
    "algorithm.adv_estimator": "rl.method",
    "algorithm.gamma": "nothing: it is 1, as in the paper",
    "algorithm.lam": "rl.lambda_policy",
    "algorithm.kl_ctrl.kl_coef": "rl.kl_coef",
    "algorithm.use_kl_in_reward": "rl.method=ppo or rloo, whose KL is in the reward",
    "actor_rollout_ref.rollout.n": "rl.group_size",
    "actor_rollout_ref.rollout.name": "rl.engine",
    "actor_rollout_ref.rollout.temperature": "rl.sampling.temperature",
    "actor_rollout_ref.model.path": "--model",
    "actor_rollout_ref.actor.optim.lr": "rl.optimiser.lr",
    "actor_rollout_ref.actor.kl_loss_coef": "rl.kl_coef",
    "actor_rollout_ref.actor.clip_ratio": "rl.clip_eps",
    "actor_rollout_ref.actor.clip_ratio_high": "rl.clip_eps_high",
    "actor_rollout_ref.actor.ppo_mini_batch_size": "rl.num_minibatches, the number of parts of a step",
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu": "rl.micro_batch_tokens",
    "actor_rollout_ref.actor.ppo_epochs": "rl.inner_updates",
    "critic.optim.lr": "rl.value_lr",
    "data.train_files": "--problems",
    "data.val_files": "the rows of --problems whose split is test",
    "data.train_batch_size": "rl.problems_per_step",
    "data.max_response_length": "rl.sampling.max_new_tokens",
    "data.max_prompt_length": "nothing: prompts are never cut, and those too long are left out and counted",
    "data.prompt_key": "--field prompt=NAME",
    "custom_reward_function.path": "--reward FILE:NAME",
    "custom_reward_function.name": "--reward FILE:NAME",
    "trainer.total_epochs": "rl.num_steps",
    "trainer.total_training_steps": "rl.num_steps",
    "trainer.n_gpus_per_node": "torchrun --nproc-per-node",
    "trainer.save_freq": "rl.checkpoint_every",
    "trainer.test_freq": "rl.evaluate_every",
    "trainer.logger": "--track wandb or --track trackio; TensorBoard reads RUN as it is",
    "trainer.default_local_dir": "--out",
}
"""Of verl's configuration, by their whole paths."""

LM_EVAL = {
    "model": "the first argument: `mathwright eval MODEL`; --engine vllm or server for backends",
    "model_args": "the model itself: `mathwright eval MODEL`; --dtype, --max-length, --tensor-parallel-size",
    "tasks": "--tasks; your own problems are --problems FILE",
    "include_path": "--problems FILE: a task is a file of questions and answers",
    "num_fewshot": "--shots",
    "fewshot_as_multiturn": "--template tokenizer, which shows exemplars as turns",
    "apply_chat_template": "--template tokenizer",
    "system_instruction": "--system",
    "gen_kwargs": "--temperature, --top-p, --top-k, --max-new-tokens",
    "repeats": "--samples",
    "limit": "--limit, a number of problems",
    "batch_size": "--batch-size",
    "device": "--device",
    "seed": "--seed",
    "output_path": "--out",
    "log_samples": "nothing: all samples are kept, with a page to browse them",
    "use_cache": "nothing: samples are kept in --out, and the same command draws only what is missing",
    "cache_requests": "nothing: samples are kept in --out, and the same command draws only what is missing",
    "write_out": "nothing: samples.html in --out shows every prompt",
    "confirm_run_unsafe_code": "nothing: programs run in the sandbox (docs/sandbox.md)",
    "trust_remote_code": "MATHWRIGHT_TRUST_MODEL_CODE=M in the environment; without it no code of a model is run",
}
"""Of lm-eval's command line."""

DATATROVE = {
    "WarcReader": "`mathwright corpus --archives 'warcs/*.gz' --seed-urls seeds.txt`",
    "JsonlReader": "`mathwright corpus import text FOLDER --out D`",
    "ParquetReader": "`mathwright corpus import text FOLDER --out D`",
    "HuggingFaceDatasetReader": "`mathwright corpus import text OWNER/NAME --out D`",
    "text_key": "--text-column",
    "glob_pattern": "a quoted glob in place of a folder",
    "Trafilatura": "nothing: pages are extracted with their formulas (docs/extraction.md)",
    "URLFilter": "corpus.rules, a rules.toml; `mathwright corpus annotate RUN` makes one",
    "LanguageFilter": "corpus.filters.languages",
    "GopherRepetitionFilter": "corpus.filters: mathwright.corpus.recipe.GOPHER_REPETITION has Gopher's values",
    "GopherQualityFilter": "corpus.min_words and corpus.filters.max_words; quality is told by the classifier",
    "FastTextClassifierFilter": "corpus.page_classifier and corpus.page_min_score; mining trains one by itself",
    "MinhashDedupSignature": "corpus.dedup_similarity, corpus.dedup_permutations and corpus.dedup_bands",
    "MinhashDedupCluster": "corpus.dedup_keeps: which page of a cluster stays",
    "SentenceDedupFilter": "nothing: near-duplicate pages are left out whole, repeated lines by corpus.filters",
    "NGramsDecontIndexer": "corpus.benchmarks, or --decontaminate of `corpus import`",
    "NGramsDecontFilter": "corpus.decontaminate_ngram and corpus.decontaminate_mode",
    "PIIFormatter": "nothing: texts are kept as they were published",
    "DocumentTokenizer": "nothing: shards are written at the end, with the tokenizer of --model or --tokenizer",
    "TokensCounter": "`mathwright corpus stats DIR`",
    "JsonlWriter": "`mathwright corpus export RUN --out mine.jsonl.zst`",
    "ParquetWriter": "`mathwright corpus export RUN --out mine.parquet`",
    "exclusion_writer": "nothing: what is dropped lies in rejected/, with the reason",
    "LocalPipelineExecutor": "the command itself, with a process a core",
    "SlurmPipelineExecutor": "the same command on every machine that sees --out; they share the archives",
    "RayPipelineExecutor": "--runner ray",
    "workers": "--workers of `mathwright corpus import`; archives are read by a process a core",
    "logging_dir": "--out",
    "skip_completed": "nothing: the same command resumes where it was stopped",
}
"""Of datatrove's pipelines: blocks, executors and their arguments."""

TOOLS = {"verl": VERL, "TRL": TRL, "lm-eval": LM_EVAL, "datatrove": DATATROVE}
"""What we answer to, by the tool whose names they are. docs/from_other_tools.md has all of it as tables."""
_FIRST = {"eval": "lm-eval", "corpus": "datatrove"}
"""Whose name is meant where a verb has several candidates."""


def ours(name: str, part: str = "") -> str:
    """What an option of another tool is called here, as the end of a hint; "" for a name that we do not know.

    part: of the recipe, or the verb, if one is spoken of.
    """
    key = name.lstrip("-+").replace("-", "_")
    short = key.rpartition(".")[2]
    first = _FIRST.get(part.partition(" ")[0], "verl")
    for tool in sorted(TOOLS, key=lambda tool: tool != first):
        answer = TOOLS[tool].get(key if tool == "verl" else short, "")
        same = answer.startswith(f"--{short.replace('_', '-')}")  # it is called so here too, by another verb
        if answer and not same:
            break
    else:
        return ""
    if part:
        answer = answer.replace("PART", part)
    said = f"{tool}'s {short} is {answer} here"
    return (
        said.replace(" is nothing:", " has no counterpart here:").removesuffix(" here") if "nothing:" in said else said
    )
