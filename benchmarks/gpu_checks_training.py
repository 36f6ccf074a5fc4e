"""The checks of `gpu_checks.py` that train: resuming, the optimiser's copies, adapters, the reference, sharding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist
from gpu_tiny import DRAWN, LARGEST, Skip, close, gradients, relative_gap, responses, tiny, words

from mathwright.errors import MathwrightError
from mathwright.lm import lora, parallel
from mathwright.lm.activations import checkpoint_activations
from mathwright.lm.load import load
from mathwright.lm.logprobs import next_token_losses, response_logprobs
from mathwright.lm.loop import Training, fit
from mathwright.lm.model import LanguageModel
from mathwright.lm.optimise import Optimiser
from mathwright.lm.pack import Example, GroupBatch, PackedRows, TokenGroup, pack_examples, pack_groups
from mathwright.lm.recipe import LoraRecipe, OptimiserRecipe
from mathwright.lm.save import save
from mathwright.run import RunDirectory

ADAMW = OptimiserRecipe(
    lr=1e-2, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, clip_norm=1.0, warmup_steps=0, decay=()
)


def checkpointed(device: str) -> dict[str, float]:
    """Activation checkpointing: the same loss and gradient with layers computed again."""
    lm, (rows,) = tiny(device), pack_examples([Example(words(1, 200), [True] * 200)], 200, None)
    found = []
    for on in (False, True):
        checkpoint_activations(lm, on)
        next_token_losses(lm, rows).sum().backward()
        found.append(gradients(lm))
    gap = relative_gap(found[1], found[0])
    assert gap <= 1e-5, f"gradients differ by {gap:.3g} of their norm"
    return {"gradient": gap}


def batches(step: int) -> list[PackedRows]:
    sequences = [words(step * 10 + i, 20 + 7 * i) for i in range(6)]
    return pack_examples([Example(s, [True] * len(s)) for s in sequences], 100, None)


def loss(lm: LanguageModel, rows: PackedRows) -> tuple[torch.Tensor, dict[str, float]]:
    return next_token_losses(lm, rows).sum() / 200, {}


def train(lm: LanguageModel, folder: Path, *, stop_at: int | None = None) -> dict[str, torch.Tensor]:
    """Six steps, a checkpoint after every second; returns the weights. `stop_at`: the step that is not begun."""

    def until_stopped(step: int) -> list[PackedRows]:
        if step == stop_at:
            raise KeyboardInterrupt
        return batches(step)

    stage = RunDirectory(folder, recipe_name="check", recipe={}).stage("train")
    training = Training(
        optimiser=ADAMW, num_steps=6, batches=until_stopped, loss=loss, checkpoint_every=2, description="training"
    )
    fit(lm, stage, training)
    return {name: value.detach().clone() for name, value in lm.model.state_dict().items()}


def largest_difference(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    return max(float((found[name] - expected[name]).abs().max()) for name in expected)


def resume(device: str) -> dict[str, float]:
    """A training stopped and taken up again against one that ran through: the same weights to the bit.

    Where PyTorch is asked for sums in one order; how far two trainings are apart without that is told, not judged.
    """
    figures: dict[str, float] = {}
    for dtype in LARGEST:
        kind = str(dtype).removeprefix("torch.")
        with TemporaryDirectory() as directory:
            folder = Path(directory)
            freely = [train(tiny(device, dtype), folder / f"freely-{i}") for i in range(2)]
            figures[f"{kind}_two_free_runs"] = largest_difference(*freely)
            torch.use_deterministic_algorithms(True)
            try:
                through = train(tiny(device, dtype), folder / "through")
                try:
                    train(tiny(device, dtype), folder / "stopped", stop_at=5)
                except KeyboardInterrupt:
                    resumed = train(tiny(device, dtype, seed=1), folder / "stopped")  # other weights: all are restored
                else:
                    raise AssertionError("the training was not stopped")
            finally:
                torch.use_deterministic_algorithms(False)
        figures[kind] = largest_difference(resumed, through)
        assert figures[kind] == 0, f"{kind}: weights differ by {figures[kind]:.3g} after a resume"
    return figures


def masters(device: str) -> dict[str, float]:
    """AdamW on bfloat16 weights with float32 copies against plain AdamW on float32 weights, steps far below bfloat16.

    Compared as the optimiser's float32 copies, to which the kept difference adds up the weights.
    """
    recipe = replace(ADAMW, lr=1e-5, weight_decay=0.0, clip_norm=0.0)
    start = torch.randn(300, 70, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16).to(device)
    narrow = torch.nn.Linear(70, 300, bias=False, device=device, dtype=torch.bfloat16)
    wide = torch.nn.Parameter(start.float())
    with torch.no_grad():
        narrow.weight.copy_(start)
    ours = Optimiser(narrow, recipe, num_steps=20)
    plain = torch.optim.AdamW([wide], lr=recipe.lr, betas=(0.9, 0.95), eps=recipe.eps, weight_decay=0.0)
    for step in range(20):
        generator = torch.Generator().manual_seed(step)
        grad = torch.randn(start.shape, generator=generator).to(torch.bfloat16).to(device)
        (narrow.weight * grad).sum().backward()  # whose gradient is grad
        ours.accumulate()
        ours.step()
        wide.grad = grad.float()
        plain.step()
    upper = narrow.weight.detach().view(torch.int16).int() << 16
    copies = (upper + ours.state_dict()["weight/lower"]).view(torch.float32)
    moved = float((wide.detach() - start.float()).abs().mean())
    gap = float((copies - wide.detach()).abs().max())
    assert gap <= moved / 20, f"copies are {gap:.3g} off, having moved {moved:.3g}"
    return {"copies": gap, "moved": moved}


def adapters(device: str) -> dict[str, float]:
    """LoRA: with adapters off the model is what it was to the bit; merged weights compute what adapters did."""
    lm, figures = tiny(device), dict[str, float]()
    batch = group_batch()
    with torch.no_grad():
        before = response_logprobs(lm, batch)
    try:
        lora.attach(lm, LoraRecipe(rank=4, alpha=8.0), seed=0)
    except MathwrightError as error:
        raise Skip(str(error)) from error
    optimiser = Optimiser(lm.model, ADAMW, num_steps=5)
    for _ in range(5):
        (-response_logprobs(lm, batch).sum()).backward()
        optimiser.accumulate()
        optimiser.step()
    with torch.no_grad():
        adapted = response_logprobs(lm, batch)
        with lora.reference(lm):
            figures["reference"] = float((response_logprobs(lm, batch) - before).abs().max())
        lora.merge(lm)
        close(figures, "merged", response_logprobs(lm, batch) - adapted, torch.float32)
    figures["learnt"] = float((adapted - before).abs().max())
    assert figures["reference"] == 0, f"with adapters off the model is {figures['reference']:.3g} nats off"
    assert figures["learnt"] > 0.1, "training the adapters changed nothing"
    return figures


def group_batch() -> GroupBatch:
    (batch,) = pack_groups([TokenGroup(words(1, 20), [words(i, 10 + 3 * i) for i in range(2, 6)])], 10_000)
    return batch


def reference(device: str) -> dict[str, float]:
    """A frozen reference read from the same files as the policy (mapped into memory on a processor).

    It equals the policy to the bit before the first update, and training the policy leaves it as it was.
    """
    batch = group_batch()
    with TemporaryDirectory() as folder:
        save(tiny("cpu", torch.bfloat16), folder)
        policy, frozen = (load(folder, dtype="bfloat16", device=device) for _ in range(2))
        frozen.model.requires_grad_(False)
        optimiser = Optimiser(policy.model, ADAMW, num_steps=3)
        with torch.no_grad():
            before = response_logprobs(frozen, batch)
            assert torch.equal(response_logprobs(policy, batch), before), "two loads of one folder differ"
        for _ in range(3):
            (-response_logprobs(policy, batch).sum()).backward()
            optimiser.accumulate()
            optimiser.step()
        with torch.no_grad():
            learnt = float((response_logprobs(policy, batch) - before).abs().max())
            moved = float((response_logprobs(frozen, batch) - before).abs().max())
    assert learnt > 0.1, "training changed nothing"
    assert moved == 0, f"the reference moved by {moved:.3g} nats"
    return {"reference": moved, "learnt": learnt}


def sharded(device: str) -> dict[str, float]:
    """FSDP2 over one process against no FSDP: training, the whole state, generation. To be started by torchrun."""
    if not dist.is_torchelastic_launched():
        raise Skip("it is started by torchrun")
    if device == "cuda":
        torch.cuda.set_device(0)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        figures: dict[str, float] = {}
        mesh = dist.device_mesh.init_device_mesh(device, (1,))
        for dtype in LARGEST:
            kind = str(dtype).removeprefix("torch.")
            plain, lm = tiny(device, dtype), tiny(device, dtype)
            parallel.shard_over(lm, mesh)
            assert parallel.sharded(lm.model)
            with TemporaryDirectory() as folder:
                expected = train(plain, Path(folder) / "plain")
                train(lm, Path(folder) / "sharded")
            with parallel.full_state(lm) as state:
                figures[kind] = relative_gap(dict(state), expected)
            assert figures[kind] <= (1e-3 if dtype == torch.float32 else 1e-2), figures
            with parallel.unsharded(lm):
                found = responses(lm, DRAWN, max_batch=5)
            assert all(c.tokens for row in found for c in row)
        return figures
    finally:
        dist.destroy_process_group()
