"""Seeds of responses that an engine takes up again after an interruption."""


def round_seed(seed: int, num_rounds: int) -> int:
    """A seed between 0 and 2^31 - 1 for what follows the `num_rounds`-th interruption of a response.

    An engine that takes up a response again begins its stream of random numbers again: with the same seed it would
    draw the same numbers again. 31 bits are what every server takes.
    """
    return (seed + num_rounds * 1_640_531_527) % 2**31
