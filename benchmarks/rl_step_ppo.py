"""TRL's side of `rl_step.py --method ppo`: the trainer it had until version 1.11 (`pip install "trl<1.12"`).

Policy, reference and value model as ours; its value model is a model of its own with a scalar head too, trained in the
same pass (one value update). Its reward is a model as well: here one that costs nothing, as the reward of our side.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from clock import Clock, ticking, trainer_settings

LAMBDA = 1.0
"""Of the advantages: the default of our side."""


class DigitModel(torch.nn.Module):
    """A reward model by its interface: 1 where the last token is a digit, computed by looking it up."""

    base_model_prefix = "body"
    is_digit: torch.Tensor

    def __init__(self, is_digit: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("is_digit", is_digit)

    def body(self, input_ids: torch.Tensor, **_: Any) -> Any:
        return SimpleNamespace(hidden_states=[self.is_digit[input_ids][..., None]])

    def score(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden


def run(job: Mapping[str, Any], case: Any, *, lr: float, beta: float, clip_eps: float) -> dict[str, Any]:
    """Steps of TRL's PPO trainer over all prompts of the case at once, each as often as a group has responses."""
    import trl  # pyright: ignore[reportMissingImports]
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
    from trl.experimental import ppo  # pyright: ignore[reportMissingImports]

    folder = Path(job["folder"])
    texts = json.loads((folder / f"{job['name']}.json").read_text(encoding="utf-8"))["texts"]
    tokenizer = AutoTokenizer.from_pretrained(folder / "model", padding_side="left")
    rows = tokenizer(texts)["input_ids"]
    batch = case.num_prompts * case.group
    per_device = min(job["trl_batch"] or batch, batch)
    dtype = getattr(torch, job["trl_weights"])
    policy, reference = (AutoModelForCausalLM.from_pretrained(folder / "model", dtype=dtype) for _ in range(2))
    value = AutoModelForSequenceClassification.from_pretrained(folder / "model", num_labels=1, dtype=dtype)
    digits = torch.tensor([float(tokenizer.decode([i]).strip().isdigit()) for i in range(policy.config.vocab_size)])
    clock = Clock(job["device"])
    with tempfile.TemporaryDirectory() as directory:
        settings = trainer_settings(job, directory, lr=lr)
        steps = settings.pop("max_steps")
        arguments = ppo.PPOConfig(
            use_cpu=job["device"] == "cpu",
            bf16=True,
            per_device_train_batch_size=per_device,
            gradient_accumulation_steps=batch // per_device,
            gradient_checkpointing=job["trl_checkpointing"],
            total_episodes=batch * steps,
            num_ppo_epochs=1,
            num_mini_batches=1,
            local_rollout_forward_batch_size=batch,
            num_sample_generations=0,
            response_length=case.new,
            temperature=1.0,
            kl_coef=beta,
            cliprange=clip_eps,
            gamma=1.0,
            lam=LAMBDA,
            **settings,
        )
        data = Dataset.from_dict({"input_ids": [row for row in rows for _ in range(case.group)]})
        trainer = ppo.PPOTrainer(
            args=arguments,
            processing_class=tokenizer,
            model=policy,
            ref_model=reference,
            reward_model=DigitModel(digits),
            value_model=value,
            train_dataset=data,
            eval_dataset=data,
            callbacks=[ticking(clock)],
        )
        trainer.train()
    logged = [row for row in trainer.state.log_history if "loss/value_avg" in row]
    return {
        **clock.steps(),
        "rows": rows,
        "value_loss": [row["loss/value_avg"] for row in logged],
        "version": f"trl {trl.__version__}",
    }
