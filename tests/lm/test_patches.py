"""Forward passes replaced on one module."""

from __future__ import annotations

import pytest
import torch

from mathwright.lm.patches import replace_forward, replaced, restore_forward


def test_a_replaced_pass_is_called_within_the_hooks_and_comes_back() -> None:
    layer, other = torch.nn.ReLU(), torch.nn.ReLU()
    seen: list[float] = []
    layer.register_forward_hook(lambda module, inputs, output: seen.append(float(output)))
    minus = torch.tensor(-2.0)
    with replaced({layer: lambda x: x * 10}):
        assert float(layer(minus)) == -20.0
        assert float(other(minus)) == 0.0
    assert float(layer(minus)) == 0.0
    assert seen == [-20.0, 0.0]


def test_a_pass_is_replaced_once_at_a_time() -> None:
    layer = torch.nn.ReLU()
    replace_forward(layer, lambda x: x)
    with pytest.raises(ValueError, match="ReLU is replaced already"), replaced({layer: lambda x: -x}):
        pass
    restore_forward(layer)
    restore_forward(layer)
    assert float(layer(torch.tensor(-2.0))) == 0.0
