"""What ends a response, written where every tool looks for it: the model's generation settings."""

from __future__ import annotations

from transformers import GenerationConfig

from mathwright.errors import MathwrightError
from mathwright.lm.model import LanguageModel


def stop_at(lm: LanguageModel, token: int) -> None:
    """End responses of `lm` at `token` too: here (`lm.eos_token_ids`), and in whatever reads the folder it is saved in.

    generation_config.json names the tokens at which transformers, vLLM and TRL stop; the tokenizer's own end token and
    those that stand there already stay.
    """
    settings = getattr(lm.model, "generation_config", None)
    if settings is None:
        settings = lm.model.generation_config = GenerationConfig()
    ends = sorted(lm.eos_token_ids | {token})
    settings.eos_token_id = ends if len(ends) > 1 else ends[0]


def require_end(lm: LanguageModel) -> None:
    """Raise MathwrightError for a model that nothing would stop: each response would run into its limit."""
    if not lm.eos_token_ids:
        raise MathwrightError(
            "neither the model's tokenizer nor its generation_config.json has an end-of-sequence token",
            hint="set eos_token in tokenizer_config.json, or eos_token_id in generation_config.json",
        )
