"""Rules by which a training run is warned of or stopped, on the numbers that TRL logs."""

from collections.abc import Sequence
from itertools import accumulate


def chosen_drops(rewards: Sequence[float], *, beta: float, mean_tokens: float) -> list[float]:
    """Nats a token that the chosen completions lost against the base, one number a log line.

    TRL's `rewards/chosen` is beta x (log-prob under the policy - log-prob under the base), summed over a
    completion; `mean_tokens` is the mean length of the chosen completions. Positive is less likely.
    """
    return [-reward / (beta * mean_tokens) for reward in rewards]


def collapsed(drops: Sequence[float], *, limit: float, window: int) -> list[bool]:
    """At which log lines the mean of the last `window` drops is above `limit`; never before `window` lines.

    DPO rewards the difference only, so it may make both texts less likely, and the model then writes
    neither (Pal et al. 2024, "Smaug"; Razin et al. 2024).
    """
    sums = [0.0, *accumulate(drops)]
    return [
        end >= window and (sums[end] - sums[end - window]) / window > limit
        for end in range(1, len(drops) + 1)
    ]


def exploded(loss: float, *, first: float, max_growth: float) -> bool:
    """Is this batch's loss more than `max_growth` times the run's first (or 1, if that is more)?"""
    return loss > max_growth * max(first, 1.0)
