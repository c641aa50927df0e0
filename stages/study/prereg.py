"""What is fixed before anyone judges; the commitment carries its hash."""

from typing import Literal

from stages.files.record import Record, ShortName

# Two-sided z of every win-rate bound: one look, or the first and second of two (O'Brien-Fleming
# at half of the information, 5 % over both looks).
Z_ONE_LOOK = 1.959963984540054
Z_TWO_LOOKS = (2.797, 1.977)


class Prereg(Record):
    """The pre-registration of a study."""

    question: Literal["Is the share of judgements for the policy, ties half, above min_share?"] = (
        "Is the share of judgements for the policy, ties half, above min_share?"
    )
    estimator: Literal["mean over prompts of the mean over editors; Wilson interval with n*"] = (
        "mean over prompts of the mean over editors; Wilson interval with n*"
    )
    left_out: Literal["void prompts, repeats, anchors"] = "void prompts, repeats, anchors"
    identical_completions: Literal["a tie of every editor"] = "a tie of every editor"
    n_prompts: int
    editors: list[ShortName]
    n_repeats: int
    min_repeat_distance: int
    n_anchors: int
    looks: Literal[1, 2]
    max_void_prompts: int
    min_share: float
    chance: float


def z_of_look(looks: Literal[1, 2], look: int) -> float:
    """The z of both bounds at this look (1 or 2)."""
    return Z_ONE_LOOK if looks == 1 else Z_TWO_LOOKS[look - 1]
