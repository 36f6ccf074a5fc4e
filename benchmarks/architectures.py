"""Every causal language model of transformers, tiny and random: computed here as transformers computes it, or refused.

    python benchmarks/architectures.py --out architectures.json [--only gemma2 ...] [--package OTHER/CHECKOUT]
    python benchmarks/architectures.py --out architectures.json --table docs/engines.md

The first form goes on where a former call stopped; a model is built from its configuration class with every size made
small, its weights drawn large enough that nothing is near uniform, and saved as a folder. Then, in float32:

- packed: log-probabilities of responses behind shared prompts and of examples laid end to end;
- generated: those the generator reports for the tokens it drew;
- gradient: of the loss of the examples, relative to its norm;
- window: the same as packed for sequences longer than the model's sliding window, where it has one;

each against one sequence at a time through the model's own forward pass with transformers' eager attention. `--package`
measures another checkout of Mathwright (a process each, the same folders). `--table` writes what was found between the
marks in a Markdown file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
BEGIN, END = "<!-- architectures: begin -->", "<!-- architectures: end -->"
TOLERANCE = 1e-5
CONTEXT, WINDOW = 96, 32
SIZES: dict[str, Any] = {
    "hidden_size": 32, "n_embd": 32, "d_model": 32, "dim": 32, "embedding_size": 32, "word_embed_proj_dim": 32,
    "intermediate_size": 48, "ffn_dim": 48, "n_inner": 48, "dim_ff": 48, "decoder_ffn_dim": 48, "encoder_ffn_dim": 48,
    "ffn_hidden_size": 48, "expert_ffn_hidden_size": 16, "moe_intermediate_size": 16, "intermediate_size_mlp": 48,
    "shared_expert_intermediate_size": 16, "shared_intermediate_size": 16, "moe_shared_expert_intermediate_size": 16,
    "dense_intermediate_size": 48, "mlp_hidden_size": 48, "expert_intermediate_size": 16,
    "num_hidden_layers": 2, "n_layer": 2, "n_layers": 2, "num_layers": 2, "decoder_layers": 2, "encoder_layers": 2,
    "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4, "decoder_attention_heads": 4,
    "encoder_attention_heads": 4, "attention_heads": 4,
    "num_key_value_heads": 2, "num_kv_heads": 2, "n_head_kv": 2, "head_dim": 8, "dim_head": 8, "d_kv": 8,
    "swa_num_attention_heads": 4, "swa_num_key_value_heads": 2, "swa_head_dim": 8, "swa_v_head_dim": 8,
    "global_head_dim": 8, "num_global_key_value_heads": 2,
    "max_position_embeddings": CONTEXT, "n_positions": CONTEXT, "n_ctx": CONTEXT, "max_seq_len": CONTEXT,
    "context_length": CONTEXT, "max_sequence_length": CONTEXT,
    "num_experts": 4, "n_routed_experts": 4, "num_local_experts": 4, "moe_num_experts": 4, "num_experts_per_tok": 2,
    "num_experts_per_token": 2, "moe_topk": 2, "moe_k": 2, "n_shared_experts": 1, "num_shared_experts": 1,
    "moe_num_shared_experts": 1, "n_group": 1, "topk_group": 1, "zero_expert_num": 0, "top_k_experts": 2,
    "first_k_dense_replace": 1, "moe_layer_start_index": 1, "mlp_layer_types": None, "index_topk": CONTEXT,
    "index_n_heads": 2, "index_head_dim": 8, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8, "v_head_dim": 8, "qk_head_dim": 16, "rotary_dim": 8, "rope_head_dim": 8, "o_lora_rank": 16,
    "o_groups": 2, "sliding_window": WINDOW, "window_size": WINDOW, "attention_window_size": WINDOW,
    "attention_chunk_size": WINDOW, "local_attention": WINDOW, "sliding_window_size": WINDOW,
    "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": None, "num_kv_shared_layers": 0, "laurel_rank": 4,
    "query_pre_attn_scalar": 8, "dim_model_base": 16, "lru_width": 32, "ssm_state_size": 8, "state_size": 8,
    "mamba_n_heads": 8, "mamba_num_heads": 8, "mamba_d_head": 8, "mamba_head_dim": 8, "mamba_d_state": 8,
    "mamba_d_ssm": 64, "mamba_n_groups": 1, "n_groups": 1, "attention_hidden_size": 32, "linear_num_value_heads": 2,
    "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8, "logits_soft_cap": 5.0,
    "final_logit_softcapping": 3.0, "attn_logit_softcapping": 1.0, "logit_scale": 0.25,
    "logits_scaling": 4.0, "attention_multiplier": 0.2, "residual_multiplier": 0.5, "embedding_multiplier": 2.0,
    "lm_head_multiplier": 0.5,
    "initializer_range": 0.1, "use_cache": True, "is_decoder": True, "attention_dropout": 0.0, "dropout": 0.0,
    "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "hidden_dropout": 0.0, "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0, "activation_dropout": 0.0, "layerdrop": 0.0, "resid_dropout": 0.0,
    "classifier_dropout": 0.0, "kv_channels": 8, "residual_dropout": 0.0,
}  # fmt: skip
"""What a configuration's sizes become, by name; the rest stays. Caps and scales are strong enough to be seen."""
OTHERS: dict[str, dict[str, Any]] = {
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "deepseek_v2": {"num_experts_per_tok": 2, "n_routed_experts": 4, "topk_method": "greedy"},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "mamba2": {"num_heads": 8},
    "falcon": {"new_decoder_architecture": False, "multi_query": True, "alibi": False},
    "cohere_compass_text": {"layer_types": ["full_attention", "full_attention"]},
    "lfm2_moe": {"layer_types": ["full_attention", "conv"]},
    "gemma4_text": {"head_dim": 8, "global_head_dim": 8, "num_key_value_heads": 2},
    "gemma4_unified_text": {"head_dim": 8, "global_head_dim": 8, "num_key_value_heads": 2},
}  # fmt: skip
"""What an architecture needs besides."""


# --- tiny models ----------------------------------------------------------------------------------


def tiny_config(model_type: str, tokenizer: Any) -> Any:
    """The smallest configuration of an architecture that has each of its kinds of layer."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return tiny(CONFIG_MAPPING[model_type], model_type, tokenizer)


def tiny(cls: Any, model_type: str, tokenizer: Any) -> Any:
    default = cls()
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    values = {**SIZES, **ids, "pad_token_id": tokenizer.pad_token_id, "vocab_size": len(tokenizer)}
    values["vocab_size_per_layer_input"] = len(tokenizer)
    known = default.to_dict()
    for name in values:
        with contextlib.suppress(Exception):  # an attribute that differs from layer to layer raises one of its own
            known[name] = getattr(default, name)
    chosen = {name: value for name, value in values.items() if name in known}
    for name, value in known.items():  # what is None by default stays so, but a size that another is divided by
        if value is None and name not in ("num_key_value_heads", "head_dim"):
            chosen.pop(name, None)
    if isinstance(known.get("layer_types"), list):
        kinds = list(dict.fromkeys(known["layer_types"]))
        chosen["layer_types"] = kinds if len(kinds) > 1 else kinds * 2
        for name in ("num_hidden_layers", "n_layer", "num_layers"):
            if name in chosen:
                chosen[name] = len(chosen["layer_types"])
        if isinstance(known.get("mlp_layer_types"), list):
            chosen["mlp_layer_types"] = known["mlp_layer_types"][-len(chosen["layer_types"]) :]
    elif isinstance(known.get("mlp_layer_types"), list):
        chosen["mlp_layer_types"] = known["mlp_layer_types"][-2:]
    else:
        chosen.pop("mlp_layer_types", None)
    fixed = [name for name in chosen if isinstance(vars(cls).get(name), property) and not vars(cls)[name].fset]
    chosen = {name: value for name, value in chosen.items() if name not in fixed}
    if "kv_lora_rank" in known:  # latent attention has keys for every head
        chosen["num_key_value_heads"] = chosen["num_attention_heads"]
    for name, part in (getattr(cls, "sub_configs", None) or {}).items():
        with contextlib.suppress(Exception):  # a part that is of no fixed class keeps its sizes
            chosen[name] = tiny(part, "", tokenizer).to_dict()
    return cls(**{**chosen, **OTHERS.get(model_type, {})})


def build(model_type: str, folder: Path, tokenizer: Any) -> str:
    """Write a random model of an architecture to a folder; returns the name of its class."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(tiny_config(model_type, tokenizer), attn_implementation="eager")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not parameter.is_floating_point():
                continue
            if parameter.ndim > 1 and not re.search(r"conv|A_log|embed_positions", name):
                parameter.copy_(torch.randn_like(parameter) * 1.2 / parameter.shape[-1] ** 0.5)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    model.float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return type(model).__name__


# --- measuring ------------------------------------------------------------------------------------


def measure(folder: Path) -> dict[str, Any]:
    """What Mathwright computes for a model folder against transformers, or why it does not."""
    import torch
    from transformers import AutoModelForCausalLM

    from mathwright.errors import MathwrightError
    from mathwright.lm.load import load
    from mathwright.lm.model import attention_window

    found: dict[str, Any] = {}
    try:
        lm = load(folder, dtype="float32")
    except MathwrightError as error:
        return {"refused": str(error)}
    reference: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", trust_remote_code=False
    ).eval()

    def alone(tokens: list[int]) -> Any:
        """log p of each token but the first of a sequence."""
        logits = reference(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, :-1].float()
        return logits.log_softmax(-1).gather(-1, torch.tensor(tokens[1:])[:, None]).squeeze(-1)

    steps = {
        "packed": lambda: packed(lm, alone, 1),
        "generated": lambda: generated(lm, alone),
        "gradient": lambda: gradient(lm, reference, alone),
    }
    if attention_window(lm.model.config):
        steps["window"] = lambda: packed(lm, alone, 6)
        steps["generated beyond it"] = lambda: generated(lm, alone, WINDOW + 8)
    for name, step in steps.items():
        try:
            found[name] = step()
        except MathwrightError as error:
            found[name] = f"refused: {error}"
        except Exception as error:  # what a foreign architecture raises is the finding
            found[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:150] if str(error) else ''}"
    return found


def words(start: int, length: int) -> list[int]:
    return [5 + (start * 37 + 11 * i + i * i) % 250 for i in range(length)]


def packed(lm: Any, alone: Any, factor: int) -> float:
    """Largest difference over groups and examples; `factor` times as long as they are."""
    import torch

    from mathwright.lm.logprobs import next_token_losses, response_logprobs
    from mathwright.lm.pack import Example, TokenGroup, pack_examples, pack_groups

    shapes = [(3, (5, 4, 9, 1)), (6, (2, 7)), (1, (4,))]
    groups = [
        TokenGroup(words(i, p * factor), [words(10 * i + j + 1, n * factor) for j, n in enumerate(lengths)])
        for i, (p, lengths) in enumerate(shapes)
    ]
    worst = 0.0
    with torch.no_grad():
        for batch in pack_groups(groups, 10_000):
            values = response_logprobs(lm, batch)
            for (g, r), row in zip(batch.rows, values, strict=True):
                prompt, response = list(groups[g].prompt), list(groups[g].responses[r])
                expected = alone(prompt + response)[len(prompt) - 1 :]
                worst = max(worst, float((row[: len(response)] - expected).abs().max()))
        sequences = [words(i, n * factor) for i, n in enumerate((7, 3, 11, 2))]
        rows = pack_examples([Example(s, [True] * len(s)) for s in sequences], 13 * factor, None, rows_per_batch=2)
        found = torch.cat([next_token_losses(lm, batch) for batch in rows])
        order = [sequences[0], sequences[1], sequences[3], sequences[2]]  # first fit: 7+3+2, 11
        expected = torch.cat([-alone(s) for s in order])
        return max(worst, float((found - expected).abs().max()))


def generated(lm: Any, alone: Any, length: int = 12) -> float:
    import torch

    from mathwright.lm.generate import Generator
    from mathwright.lm.recipe import SamplingRecipe

    prompts = [words(1, 4), words(2, 9)]
    sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=length)
    worst, tokens = 0.0, 0
    rows = Generator(lm, max_batch=3).generate(prompts, sampling, seeds=[[1, 2, 3], [4, 5]])
    with torch.no_grad():
        for prompt, row in zip(prompts, rows, strict=True):
            for completion in row:
                expected = alone(prompt + list(completion.tokens))[len(prompt) - 1 :]
                worst = max(worst, float((torch.tensor(completion.logprobs) - expected).abs().max()))
                tokens += len(completion.tokens)
    return worst if tokens > 10 else float("nan")


def gradient(lm: Any, reference: Any, alone: Any) -> float:
    """Norm of the difference of the two gradients, relative to the gradient's."""
    import torch

    from mathwright.lm.logprobs import next_token_losses
    from mathwright.lm.pack import Example, pack_examples

    sequences = [words(i, n) for i, n in enumerate((7, 3, 11, 2))]
    for batch in pack_examples([Example(s, [True] * len(s)) for s in sequences], 13, None):
        next_token_losses(lm, batch).sum().backward()
    sum(-alone(s).sum() for s in sequences).backward()  # type: ignore[union-attr]
    theirs = {name: p.grad for name, p in reference.named_parameters() if p.grad is not None}
    ours = {name: p.grad for name, p in lm.model.named_parameters() if p.grad is not None}
    difference = norm = 0.0
    for name in theirs.keys() | ours.keys():
        zero = torch.zeros(())
        difference += float((ours.get(name, zero) - theirs.get(name, zero)).square().sum())
        norm += float(theirs.get(name, zero).square().sum())
    return (difference / norm) ** 0.5


# --- running --------------------------------------------------------------------------------------


def examine(model_type: str, folder: Path, tokenizer: Any, queue: Any) -> None:
    """In a process of its own: an architecture may crash, hang or take all memory."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    try:
        name = build(model_type, folder, tokenizer)
    except Exception as error:
        queue.put({"not built": f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}"[:200]})
        return
    queue.put({"class": name, "crashed": "it does not end"})
    try:
        queue.put({"class": name, **measure(folder)})
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = str(error).strip().splitlines()[:1] or [""]
        queue.put({
            "class": name,
            "crashed": f"{type(error).__name__}: {text[0][:150]} ({Path(last.filename).name}:{last.lineno})",
        })  # fmt: skip


def run_all(out: Path, only: list[str], timeout_s: float, seconds: float) -> None:
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    import mathwright
    from mathwright.lm.load import load  # noqa: F401 - children find it imported
    from mathwright.lm.tokenise import train_tokenizer

    transformers.logging.set_verbosity_error()
    found: dict[str, Any] = json.loads(out.read_text()) if out.is_file() else {}
    print(f"transformers {transformers.__version__}, {mathwright.__file__}", file=sys.stderr)
    texts = ["Tom has 12 apples and buys 30 more. The answer is 42."] * 5
    tokenizer = train_tokenizer(texts, vocab_size=300, max_length=CONTEXT)
    transformers.logging.disable_progress_bar()
    deadline = time.monotonic() + seconds
    context = multiprocessing.get_context("fork")
    for model_type in only or MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        if model_type in found and not only:
            continue
        if time.monotonic() > deadline:
            print("time is up; the same command goes on", file=sys.stderr)
            break
        with tempfile.TemporaryDirectory() as folder:
            queue = context.SimpleQueue()
            process = context.Process(target=examine, args=(model_type, Path(folder), tokenizer, queue), daemon=True)
            process.start()
            process.join(timeout_s)
            if process.is_alive():
                process.kill()
                process.join()
            found[model_type] = {"not built": "it is too large, or ended before it was built"}
            while not queue.empty():
                found[model_type] = queue.get()
        print(model_type, found[model_type], file=sys.stderr, flush=True)
        out.write_text(json.dumps(found, indent=1) + "\n")


# --- the table ------------------------------------------------------------------------------------


def kind(row: dict[str, Any]) -> str:
    """computed, refused, wrong, crashed, or not built."""
    for name in ("not built", "refused", "crashed"):
        if name in row:
            return name
    values = [row[name] for name in ("packed", "generated", "gradient")]
    if any(isinstance(value, str) for value in values):
        return "refused" if all(isinstance(v, str) and v.startswith("refused") for v in values) else "crashed"
    return (
        "computed" if all(value <= limit for value, limit in zip(values, (1e-5, 1e-5, 1e-4), strict=True)) else "wrong"
    )


def table(found: dict[str, Any]) -> str:
    def figure(value: Any) -> str:
        if value is None:
            return ""
        return f"{value:.1e}" if not isinstance(value, str) else "within it"

    lines = ["| architecture | packed | generated | gradient | beyond the window |", "|---|---|---|---|---|"]
    computed = {name: row for name, row in found.items() if kind(row) == "computed"}
    for name, row in sorted(computed.items()):
        figures = [figure(row.get(key)) for key in ("packed", "generated", "gradient", "window")]
        lines.append(f"| {name} | {' | '.join(figures)} |")
    lines += ["", "| refused | why |", "|---|---|"]
    for name, row in sorted(found.items()):
        if kind(row) == "refused":
            reason = row.get("refused") or row["packed"].removeprefix("refused: ")
            reason = re.sub(r"/\S*tmp\w+", "the folder", reason).split(" (hint:")[0]  # of this run
            lines.append(f"| {name} | {reason.replace('|', '/')} |")
    others = {k: sorted(n for n, row in found.items() if kind(row) == k) for k in ("wrong", "crashed", "not built")}
    lines += ["", f"{len(computed)} computed, {sum(kind(row) == 'refused' for row in found.values())} refused."]
    lines += [f"{name.capitalize()}: {', '.join(names)}." for name, names in others.items() if names]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON of what was found; a further call adds to it")
    parser.add_argument("--only", nargs="+", default=[], help="model types; found ones are measured again")
    parser.add_argument("--package", type=Path, help="checkout of Mathwright to measure instead of the installed one")
    parser.add_argument("--timeout-s", type=float, default=60, help="of one architecture")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop starting new ones after so long")
    parser.add_argument("--table", type=Path, help="only write the table into this Markdown file")
    arguments = parser.parse_args()
    if arguments.table:
        text = arguments.table.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        new = table(json.loads(arguments.out.read_text()))
        arguments.table.write_text(f"{before}{BEGIN}\n{new}\n{END}{after}", encoding="utf-8")
        return
    if arguments.package:
        sys.path.insert(0, str(arguments.package))
    run_all(arguments.out, arguments.only, arguments.timeout_s, arguments.seconds)


if __name__ == "__main__":
    main()
