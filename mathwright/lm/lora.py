"""LoRA: low-rank adapters next to frozen weights (arXiv 2106.09685), by peft.

The adapters are put into the model itself, whose class and interface stay what they are: everything in `mathwright.lm`
takes an adapted model like any other. Switched off, what is left is the model the training began with, so RL needs no
second copy of it for pi_ref.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from mathwright.errors import MathwrightError
from mathwright.lm import parallel
from mathwright.lm.model import HEAD, LanguageModel, RewardModel
from mathwright.lm.patches import replaced
from mathwright.lm.places import json_damage
from mathwright.lm.recipe import LoraRecipe

ALL_LINEAR = "all-linear"
"""A target: every linear layer of the decoder."""
LINEAR = (torch.nn.Linear, Conv1D)
ADAPTED = (*LINEAR, torch.nn.Embedding)
"""Layers whose adapters are added to their weights rightly; what is derived from them may compute something else."""
BASE = ".base_layer"
"""What peft inserts into the name of a weight it has put an adapter next to."""


def attach(lm: LanguageModel, recipe: LoraRecipe, *, seed: int) -> None:
    """Put adapters next to the layers named in the recipe and freeze everything else but a reward model's head.

    An adapted layer computes W x + (alpha / rank) B A x. A is uniform as in `torch.nn.Linear`, B is 0, so the model
    computes what it did before; of an embedding, where A x is a column of A, A is 0 and B normal.

    Args:
        lm: the model; changed in place. Its weights must not be sharded yet.
        recipe: rank, scale and layers.
        seed: of what is random.

    Raises MathwrightError where peft is not installed, the model lacks a named layer, or one is of a kind whose adapter
    could not be added to its weights at the end; ValueError where the model has adapters already.
    """
    peft = _peft()
    if attached(lm):
        raise ValueError("the model has adapters already: merge them first")
    config = peft.LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=recipe.dropout, target_modules=_targets(lm.model, recipe)
    )
    training = lm.model.training
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():  # peft draws from the shared random state
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")  # it sets what Conv1D needs
        peft.inject_adapter_in_model(config, lm.model)
    lm.model.train(training)
    if isinstance(lm, RewardModel):
        getattr(lm.model, HEAD).requires_grad_(True)  # new, so it has nothing to keep
    generator = torch.Generator().manual_seed(seed)
    for _, layer in _layers(lm.model):
        for adapter in (layer.lora_A, layer.lora_B):
            for linear in adapter.values():
                linear.to(lm.dtype)
        for linear in layer.lora_A.values():
            drawn = torch.nn.init.kaiming_uniform_(torch.empty(linear.weight.shape), a=5**0.5, generator=generator)
            linear.weight.data.copy_(drawn)  # drawn on the CPU: the same on every device
        for parameter in (*layer.lora_embedding_A.values(), *layer.lora_embedding_B.values()):
            parameter.data = parameter.data.to(lm.dtype)
        for parameter in layer.lora_embedding_B.values():
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator))


def _targets(model: Any, recipe: LoraRecipe) -> list[str]:
    """The full names of the layers that get an adapter.

    Raises MathwrightError for a name that is no layer of the decoder, or one of a layer that cannot have one.
    """
    inner = set(map(id, model.base_model.modules()))
    decoder = {name: module for name, module in model.named_modules() if id(module) in inner}
    targets: dict[str, Any] = {}
    for wanted in recipe.targets:
        if wanted == ALL_LINEAR:
            found = {name: module for name, module in decoder.items() if type(module) in LINEAR}
        else:
            found = {name: module for name, module in decoder.items() if f".{name}".endswith(f".{wanted}")}
        if not found:
            raise _no_such_layer(model, wanted, decoder)
        targets |= found
    if not targets:
        raise MathwrightError("lora.targets is empty", hint="name the layers that get adapters, such as q_proj")
    owners: dict[int, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if getattr(module, "weight", None) is not None:
            owners.setdefault(id(module.weight), []).append(name)
    for name, module in targets.items():
        if type(module) not in ADAPTED:
            raise MathwrightError(
                f"lora.targets: {name} of {type(model).__name__} is a {type(module).__name__}, which can have no "
                "adapter",
                hint="name linear layers, such as q_proj, or an embedding: all-linear is every linear layer",
            )
        if others := [other for other in owners[id(module.weight)] if other != name]:
            raise MathwrightError(
                f"lora.targets: {name} shares its weights with {others[0]}: an adapter of one would change both",
                hint="leave it out of lora.targets",
            )
    return list(targets)


def _no_such_layer(model: Any, wanted: str, decoder: Mapping[str, Any]) -> MathwrightError:
    elsewhere = [name for name, _ in model.named_modules() if f".{name}".endswith(f".{wanted}")]
    if elsewhere and wanted:
        return MathwrightError(
            f"lora.targets: {elsewhere[0]} comes after the decoder: log-probabilities would leave its adapter out",
            hint="leave it out of lora.targets",
        )
    known = sorted({name.rpartition(".")[2] for name, module in decoder.items() if type(module) in LINEAR})
    return MathwrightError(
        f"{type(model).__name__} has no layer called {wanted}",
        hint=f"its linear layers are called {', '.join(known)}; all-linear names them all",
    )


def attached(lm: LanguageModel) -> bool:
    """Whether the model has adapters."""
    return any(name.endswith(BASE) for name, _ in lm.model.named_modules())


@contextmanager
def reference(lm: LanguageModel) -> Iterator[None]:
    """Within it the adapters are off: the model is the one they were attached to, to the bit.

    Raises ValueError for a model without adapters, which would be its own reference.
    """
    layers = [layer for _, layer in _layers(lm.model)]
    if not layers:
        raise ValueError("the model has no adapters to switch off")
    # peft's own switch also turns requires_grad off, which sharded weights would not get back
    with replaced({layer: layer.base_layer.forward for layer in layers}):
        yield


def merge(lm: LanguageModel) -> None:
    """Add the adapters to the weights and remove them: the model is a plain one again, all of it trainable.

    `lm.save.save` does not need it: it writes a plain model anyway. The weights must not be sharded. Nothing happens to
    a model without adapters.
    """
    layers = _layers(lm.model)
    if not layers:
        return
    plain = plain_weights(lm.model, lm.model.state_dict())
    for name, layer in layers:
        parent, _, leaf = name.rpartition(".")
        setattr(lm.model.get_submodule(parent), leaf, layer.base_layer)
    lm.model.load_state_dict(plain)
    lm.model.requires_grad_(True)


def save_adapter(lm: LanguageModel, folder: Path, recipe: LoraRecipe, *, base: Path | str) -> None:
    """Write the adapters alone, as peft does: `adapter_model.safetensors` and `adapter_config.json`.

    `peft.PeftModel.from_pretrained(model, folder)` puts them on the model they were trained on, which the
    configuration names as `base`. Of a reward model the head is among them, as in peft's sequence classifiers: they go
    on the language model opened with AutoModelForSequenceClassification and one label. Under torchrun all processes
    are to call this; rank 0 writes.
    """
    from safetensors.torch import save_file

    world = parallel.world()
    with parallel.full_state(lm) as state:
        if world.is_main:
            folder.mkdir(parents=True, exist_ok=True)
            # peft's names: the model inside its wrapper, without the name of the adapter
            head = f"{HEAD}.weight" if isinstance(lm, RewardModel) else None
            own = {
                f"base_model.model.{n.replace('.default', '')}": v.contiguous()
                for n, v in state.items()
                if ".lora_" in n or n == head
            }
            save_file(own, folder / "adapter_model.safetensors", metadata={"format": "pt"})
            config = _peft().LoraConfig(
                r=recipe.rank,
                lora_alpha=recipe.alpha,
                lora_dropout=recipe.dropout,
                target_modules=[name for name, _ in _layers(lm.model)],
                base_model_name_or_path=str(Path(base).resolve() if Path(base).is_dir() else base),
                task_type="CAUSAL_LM" if head is None else "SEQ_CLS",
                modules_to_save=None if head is None else [HEAD],
                inference_mode=True,
            )
            config.save_pretrained(str(folder))
    parallel.barrier(world)


ADAPTER_CONFIG = "adapter_config.json"


def base_of(folder: Path) -> str:
    """The model that the adapters in a folder belong to.

    Raises MathwrightError where the folder holds no adapters, or does not say, or they are a reward model's.
    """
    file = folder / ADAPTER_CONFIG
    if not file.is_file():
        raise MathwrightError(f"{folder} has no {ADAPTER_CONFIG}", hint="name a folder of adapters, as peft writes it")
    if (reason := json_damage(file)) is not None:
        raise MathwrightError(f"{file} is not JSON: {reason}", hint="copy it again")
    config = json.loads(file.read_text(encoding="utf-8"))
    if config.get("task_type") == "SEQ_CLS":
        raise MathwrightError(
            f"{folder} holds a reward model's adapters, which have a head of their own",
            hint="the stage that trained them has written the whole model beside them, as model/",
        )
    if not isinstance(base := config.get("base_model_name_or_path"), str) or not base:
        raise MathwrightError(f"{file} names no model that the adapters belong to", hint="name it with --model")
    return base


def merge_folder(lm: LanguageModel, folder: Path) -> None:
    """Add the adapters in a folder, of whatever kind peft knows, to the weights of the model they were trained on.

    Sums are taken in the weights' own type: open the model in float32. Raises MathwrightError where they do not fit it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what peft asks of transformers
        try:
            wrapped = _peft().PeftModel.from_pretrained(lm.model, str(folder))
            wrapped.merge_and_unload(safe_merge=True)
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            reason = next(iter(str(error).splitlines()), repr(error))
            raise MathwrightError(
                f"the adapters in {folder} do not fit the model: {reason[:200]}",
                hint="name the model they were trained on with --model",
            ) from error


@torch.no_grad()
def plain_weights(model: Any, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A model's state by the names of the model without adapters, these added to the weights; without any, the same.

    An adapted weight is W + (alpha / rank) B A, summed in float32: peft would round the product to bfloat16 before.
    Embeddings and the Conv1D of GPT-2 keep W transposed.
    """
    layers = {f"{name}.weight": layer for name, layer in _layers(model)}
    plain: dict[str, Tensor] = {}
    for name, value in state.items():
        if ".lora_" in name:
            continue
        own = name.replace(BASE, "")
        if own in layers:
            value = _with_adapters(value, layers[own], own.removesuffix("weight"), state)
        plain[own] = value
    return plain


def _with_adapters(weight: Tensor, layer: Any, prefix: str, state: Mapping[str, Tensor]) -> Tensor:
    """The weight of one layer with its adapters added; `prefix` begins their names in the state."""
    for adapter, scaling in layer.scaling.items():
        embeds = adapter in layer.lora_embedding_A
        names = (f"lora_embedding_{part}.{adapter}" if embeds else f"lora_{part}.{adapter}.weight" for part in "AB")
        a, b = (state[prefix + name] for name in names)
        wide = torch.promote_types(weight.dtype, torch.float32)
        product = b.to(wide) @ a.to(wide)
        transposed = embeds or layer.fan_in_fan_out
        weight = (weight.to(wide) + scaling * (product.T if transposed else product)).to(weight.dtype)
    return weight


def _layers(model: Any) -> list[tuple[str, Any]]:
    """The adapted layers and their names."""
    return [(name, module) for name, module in model.named_modules() if hasattr(module, "lora_A")]


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise MathwrightError("LoRA needs the package peft", hint="pip install 'mathwright[lora]'") from error
    return peft
