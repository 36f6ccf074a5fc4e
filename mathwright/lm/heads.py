"""Models with a scalar head: a language model with one number in the place of the next token.

One head, a linear map of the last hidden state, is read at three places:

    outcome reward   r_phi(q, o)   at the last token of the response, the end token, which has seen the whole of it
                                   (the paper does not describe its head; this is InstructGPT's choice)
    process reward   of a step     at the token with which the step ends, which has seen the step
    value            V_t           at the token before o_t, which has seen what o_t continues

Their folder is one of a transformers `...ForSequenceClassification` with one label, so that other tools can load the
outcome reward model too.

Those read the last token that is not the padding token. So the end token must never be the padding token, as it is for
most models as published: the folder names another one, in the configuration and in the tokenizer alike.
"""

from __future__ import annotations

import copy
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from mathwright.errors import MathwrightError
from mathwright.files import write_json
from mathwright.lm import parallel
from mathwright.lm.attention import ATTENTION
from mathwright.lm.folders import open_model
from mathwright.lm.load import load_tokenizer
from mathwright.lm.logprobs import gather_hidden, gather_last, hidden_states
from mathwright.lm.model import HEAD, LanguageModel, RewardModel, torch_dtype
from mathwright.lm.pack import GroupBatch, TokenGroup, pack_groups
from mathwright.lm.probe import findings
from mathwright.lm.tokenise import encode, encode_prompt
from mathwright.records import from_json

PADDING = "<|mathwright_pad|>"
"""Added to vocabularies without a token to pad with."""
SCALE = "score_scale.json"
"""File in the folder of an outcome reward model: `Scale`."""


def from_language_model(lm: LanguageModel, *, seed: int, end: int | None = None) -> RewardModel:
    """A reward model with the weights of `lm` (not copied) and a new head, normal with deviation 1 / sqrt(D + 1).

    Where the vocabulary has no token to pad with but the end token, it gets one, and the embedding (then a copy) a row.

    Args:
        lm: the language model; stays what it is, but for its weights being trained.
        seed: of the head.
        end: the token that ends a response; None is the tokenizer's end of sequence.

    Raises MathwrightError where transformers has no sequence classifier for the architecture, or nothing ends a
    response.
    """
    end = lm.tokenizer.eos_token_id if end is None else end
    if end is None:
        raise MathwrightError(
            "the model's tokenizer has no end-of-sequence token: there is nothing to read a score at",
            hint="set eos_token in its tokenizer_config.json",
        )
    config = lm.model.config
    tokenizer, pad = _with_padding(lm.tokenizer, end)
    base, num_rows = _with_row(lm.model.base_model, pad)
    classifier_config = copy.deepcopy(config)
    classifier_config.num_labels = 1
    classifier_config.vocab_size = num_rows
    classifier_config.pad_token_id, classifier_config.eos_token_id = pad, int(end)
    try:
        with torch.device("meta"):
            model: Any = AutoModelForSequenceClassification.from_config(
                classifier_config, dtype=lm.dtype, attn_implementation=ATTENTION, trust_remote_code=False
            )
    except ValueError as error:
        raise MathwrightError(
            f"{type(lm.model).__name__} has no sequence classifier in transformers",
            hint="use a Llama-like model: Llama, Qwen2 or 3, Mistral",
        ) from error
    setattr(model, model.base_model_prefix, base)
    width = config.hidden_size
    weight = torch.randn(1, width, generator=torch.Generator().manual_seed(seed)) / (width + 1) ** 0.5
    head = torch.nn.Linear(width, 1, bias=False, dtype=lm.dtype, device=lm.device)
    head.weight.data.copy_(weight)
    setattr(model, HEAD, head)
    return RewardModel(model.eval(), tokenizer)


def _with_padding(tokenizer: Any, end: int) -> tuple[Any, int]:
    """The tokenizer with a padding token that ends no response and stands in no text, and that token."""
    pad = tokenizer.pad_token_id
    if pad is not None and pad != end:
        return tokenizer, int(pad)
    tokenizer = copy.deepcopy(tokenizer)
    taken = {end, tokenizer.eos_token_id, tokenizer.bos_token_id}
    written = getattr(tokenizer, "chat_template", None) or ""
    spare = {
        token.content: int(number)
        for number, token in sorted(tokenizer.added_tokens_decoder.items())
        if token.special and number not in taken and token.content not in str(written)
    }
    named = [text for word in ("pad", "reserved", "unused") for text in spare if word in text.lower()]
    unknown = [text for text, number in spare.items() if number == tokenizer.unk_token_id]
    # begin and end tokens are never padded with: tools that mask by token would leave the first token out
    text = next(iter([*named, *unknown]), PADDING)
    tokenizer.add_special_tokens({"pad_token": text})
    return tokenizer, int(tokenizer.pad_token_id)


def _with_row(base: Any, token: int) -> tuple[Any, int]:
    """The decoder, its embedding long enough for `token`, and its number of rows."""
    embedding = base.get_input_embeddings()
    if token < len(embedding.weight):
        return base, len(embedding.weight)
    longer = torch.nn.Embedding(token + 1, embedding.weight.shape[1], dtype=embedding.weight.dtype)
    longer = longer.to(embedding.weight.device)
    with torch.no_grad():
        longer.weight.zero_()
        longer.weight[: len(embedding.weight)] = embedding.weight
    # modules of its own on the same weights: the language model keeps its embedding
    shared = {id(tensor): tensor for tensor in (*base.parameters(), *base.buffers())}
    base = copy.deepcopy(base, shared)
    base.set_input_embeddings(longer)
    return base, token + 1


def load(source: str | Path, *, dtype: str | torch.dtype, device: str | torch.device = "cpu") -> RewardModel:
    """Load a reward model that `lm.save.save` wrote.

    Raises MathwrightError where the folder is missing or holds no reward model.
    """
    folder = Path(source)
    if not (folder / "config.json").is_file():
        raise MathwrightError(f"{folder} holds no reward model", hint="name the model folder of a reward stage")
    model, report = open_model(AutoModelForSequenceClassification, folder, torch_dtype(dtype))
    model.config._attn_implementation = ATTENTION
    if report["missing_keys"] or model.num_labels != 1:
        raise MathwrightError(
            f"{folder} holds a model without a reward head",
            hint="train one with the reward stage; this is no reward model",
        )
    model = model.to(parallel.world().device(device)).eval()
    findings(model)
    return RewardModel(model, load_tokenizer(folder))


def response_scores(reward_model: RewardModel, batch: GroupBatch) -> Float[Tensor, " B"]:
    """r_phi of each response of a packed batch, differentiable, in float32 (float64 for a float64 model)."""
    return _read(reward_model, gather_last(hidden_states(reward_model.model, batch), batch))


def scores_on_the_way(
    reward_model: RewardModel, hidden: Float[Tensor, "1 L D"], batch: GroupBatch
) -> tuple[Float[Tensor, " B"], Float[Tensor, "B T"]]:
    """`response_scores` and `token_scores` of the hidden states of one forward pass."""
    return _read(reward_model, gather_last(hidden, batch)), _read(reward_model, gather_hidden(hidden, batch))


def token_scores(reward_model: RewardModel, batch: GroupBatch) -> Float[Tensor, "B T"]:
    """The head at every response token itself, for scores of steps; differentiable, anything after a response's end."""
    return _read(reward_model, gather_hidden(hidden_states(reward_model.model, batch), batch))


def token_values(value_model: RewardModel, batch: GroupBatch) -> Float[Tensor, "B T"]:
    """V_t of each response token: the head at the token before it, the last of the prompt for the first.

    Differentiable; anything may stand after a response's end.
    """
    hidden = hidden_states(value_model.model, batch)
    return _read(value_model, hidden.flatten(0, 1)[batch.source_index.to(hidden.device)])


def _read(model: RewardModel, hidden: Float[Tensor, "*N D"]) -> Float[Tensor, "*N"]:
    """The head's number for each hidden state, in float32 (float64 for a float64 model)."""
    # in bfloat16 it would have 8 bits, too coarse to tell good responses of one group apart
    wide = torch.promote_types(hidden.dtype, torch.float32)
    return (hidden.to(wide) @ getattr(model.model, HEAD).weight.to(wide).T).squeeze(-1)


def token_group(
    reward_model: RewardModel, prompt: str, responses: Sequence[str], truncated: Sequence[bool] | None = None
) -> TokenGroup:
    """Prompt and responses as the reward model reads them: each tokenised alone, the end token after a response.

    A response that ran into a limit (`truncated`; None is none of them) has no end token: what it was cut at is the
    last that is read.
    """
    cut = [False] * len(responses) if truncated is None else truncated
    ended = zip(responses, cut, strict=True)
    return TokenGroup(
        encode_prompt(reward_model.tokenizer, prompt),
        [
            [*encode(reward_model.tokenizer, response, parse_special=False), *([] if was_cut else [reward_model.end])]
            for response, was_cut in ended
        ],
    )


@torch.no_grad()
def score(
    reward_model: RewardModel,
    prompts: Sequence[str],
    responses: Sequence[str],
    *,
    micro_batch_tokens: int,
    truncated: Sequence[bool] | None = None,
) -> list[float | None]:
    """r_phi(q, o) of each pair of a prompt and a response; None where the two do not fit the model's context.

    Prompts that stand several times are computed once a micro-batch. A response that ran into a limit (`truncated`;
    None is none of them) is read at its last token, without an end token that it never wrote.
    """
    cut = [False] * len(responses) if truncated is None else truncated
    if not len(prompts) == len(responses) == len(cut):
        raise ValueError(f"{len(prompts)} prompts, {len(responses)} responses and {len(cut)} marks of being cut")
    places: dict[str, list[int]] = {}
    for index, prompt in enumerate(prompts):
        places.setdefault(prompt, []).append(index)
    groups: list[TokenGroup] = []
    indices: list[list[int]] = []
    for prompt, group_places in places.items():
        group = token_group(reward_model, prompt, [responses[i] for i in group_places], [cut[i] for i in group_places])
        fits = [len(group.prompt) + len(r) <= reward_model.max_length for r in group.responses]
        kept = [i for i, fit in enumerate(fits) if fit]
        if kept:
            groups.append(TokenGroup(group.prompt, [group.responses[i] for i in kept]))
            indices.append([group_places[i] for i in kept])
    scores: list[float | None] = [None] * len(prompts)
    reward_model.model.eval()
    for batch in pack_groups(groups, micro_batch_tokens):
        values = response_scores(reward_model, batch).tolist()
        for (group, row), value in zip(batch.rows, values, strict=True):
            scores[indices[group][row]] = value
    return scores


# --- scale ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Mean and deviation of a reward model's scores on held-out responses of the model that training begins with.

    A ranking loss fixes neither level nor unit of a score; (r - mean) / std has both, so that a coefficient beside it,
    of a KL or of a further reward, means the same for every reward model.
    """

    mean: float
    std: float
    num_responses: int

    def standardised(self, score: float) -> float:
        """(score - mean) / std."""
        return (score - self.mean) / self.std


def scale_of(scores: Sequence[float | None]) -> Scale | None:
    """The scale of some scores; None where fewer than two of them, or all alike, leave nothing to divide by."""
    known = [score for score in scores if score is not None and math.isfinite(score)]
    if len(known) < 2 or (std := statistics.stdev(known)) == 0:
        return None
    return Scale(mean=statistics.fmean(known), std=std, num_responses=len(known))


def write_scale(folder: Path, scale: Scale | None) -> None:
    """Keep a scale in the folder of its reward model; None removes an earlier one."""
    if scale is None:
        (folder / SCALE).unlink(missing_ok=True)
    else:
        write_json(folder / SCALE, scale)


def read_scale(source: str | Path) -> Scale:
    """The scale kept in the folder of a reward model.

    Raises MathwrightError where there is none, or it is damaged.
    """
    path = Path(source) / SCALE
    if not path.is_file():
        raise MathwrightError(
            f"{path}: no such file: nothing says what is a usual score of this reward model",
            hint="train it with held-out problems (reward.heldout_share), or leave rl.standardise_reward out",
        )
    try:
        scale = from_json(Scale, json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise MathwrightError(f"{path}: {error}", hint="train the reward model again") from error
    if not (math.isfinite(scale.mean) and 0 < scale.std < math.inf):
        raise MathwrightError(
            f"{path}: mean {scale.mean} and std {scale.std} are no scale", hint="train the reward model again"
        )
    return scale
