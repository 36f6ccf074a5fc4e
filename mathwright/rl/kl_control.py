"""beta of Eq. 2: a constant, or steered so that the KL of a response stays near a target."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_ERROR = 0.2
"""The relative error that counts at most."""


@dataclass(slots=True)
class KlCoefficient:
    """beta, and how it follows the measured KL (Ziegler et al. 2019, §2.2).

        beta <- beta (1 + clip(KL / target - 1, -0.2, 0.2) n / horizon)

    The KL is in nats a *response*: the sum over its tokens of log pi - log pi_ref, meant over the n responses of a
    step. (OpenRLHF and verl take the mean over tokens, so that their targets are smaller by the length of a response.)
    """

    beta: float
    target: float | None = None
    """Nats a response; None leaves beta as it is."""
    horizon: int = 10_000
    """Responses after which a KL that is off by 20% or more has changed beta by 20%, to first order."""

    def follow(self, kl: float, num_responses: int) -> None:
        """Move beta after a step with so many responses, whose KL was this."""
        if self.target is not None:
            error = min(max(kl / self.target - 1, -LARGEST_ERROR), LARGEST_ERROR)
            self.beta *= 1 + error * num_responses / self.horizon
