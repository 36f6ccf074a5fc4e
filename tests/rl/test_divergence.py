"""k1, k2, k3: values by hand, and the Monte-Carlo means that give them their names."""

import math

import torch

from mathwright.rl import divergence


def test_by_hand():
    policy, ref = torch.tensor([0.5, 0.25]).log(), torch.tensor([0.25, 0.5]).log()
    torch.testing.assert_close(divergence.k1(policy, ref), torch.tensor([math.log(2), -math.log(2)]))
    torch.testing.assert_close(divergence.k2(policy, ref), torch.full((2,), math.log(2) ** 2 / 2))
    # Eq. 4: 1/2 - log(1/2) - 1 and 2 - log 2 - 1
    torch.testing.assert_close(divergence.k3(policy, ref), torch.tensor([math.log(2) - 0.5, 1 - math.log(2)]))


def test_means_under_the_policy_are_the_divergence():
    generator = torch.Generator().manual_seed(0)
    policy = torch.randn(6, generator=generator, dtype=torch.float64).log_softmax(0)
    ref = torch.randn(6, generator=generator, dtype=torch.float64).log_softmax(0)
    kl = (policy.exp() * (policy - ref)).sum()
    n = 200_000
    drawn = torch.multinomial(policy.exp(), n, replacement=True, generator=generator)
    for estimator in (divergence.k1, divergence.k3):
        samples = estimator(policy[drawn], ref[drawn])
        assert abs(samples.mean() - kl) < 5 * samples.std() / math.sqrt(n), estimator.__name__
        assert samples.std() / math.sqrt(n) < 0.02 * kl, "too noisy to tell KL(pi||ref) from KL(ref||pi)"


def test_k3_is_never_negative_and_keeps_its_precision_near_zero():
    d = torch.tensor([0.0, 1e-4, -1e-4, 3.0, -3.0])
    values = divergence.k3(torch.zeros(5), d)
    assert (values >= 0).all()
    torch.testing.assert_close(values[1], torch.tensor(0.5e-8), rtol=0.05, atol=0.0)


def test_the_mean_gradient_of_k3_is_that_of_the_reverse_divergence():
    logits = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64, requires_grad=True)
    ref = torch.tensor([0.1, 0.5, -0.4], dtype=torch.float64).log_softmax(0)
    policy = logits.log_softmax(0)
    (expected,) = torch.autograd.grad((ref.exp() * (ref - policy)).sum(), logits, retain_graph=True)
    (computed,) = torch.autograd.grad((policy.detach().exp() * divergence.k3(policy, ref)).sum(), logits)
    torch.testing.assert_close(computed, expected)
