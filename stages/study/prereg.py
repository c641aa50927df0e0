"""What is fixed before anyone judges; the commitment carries its hash."""

from typing import Literal

import yaml

from stages.files.record import Record, ShortName
from stages.files.yaml_text import parse_yaml
from stages.run.params import Params

# Two-sided z of every win-rate bound: one look, or the first and second of two (O'Brien-Fleming
# at half of the information, 5 % over both looks).
Z_ONE_LOOK = 1.959963984540054
Z_TWO_LOOKS = (2.797, 1.977)


class Soundness(Record):
    """Lines beyond which a study says of itself that it may not be sound; shares in [0, 1]."""

    min_anchors_noticed: float = 0.75
    max_side_share: float = 0.6  # of decided screens on one side, and the exact binomial's p below side_level
    side_level: float = 0.01
    min_repeats_same: float = 0.5
    min_alpha: float = 0.1  # Krippendorff's, ordinal; a sound study of taste shows 0.3 to 0.4


# The names of the anchors that every study had before they came from a file.
OLD_ANCHORS = ["garden", "archive", "clinic", "choir", "river", "reading"]


class Prereg(Record):
    """The pre-registration of a study.

    What has a default here is no parameter: it is the same in every study. One that was opened before a
    line was written down is read with the same lines.
    """

    question: Literal[
        "Is the share of judgements for the policy, ties half, above min_share?",
        "Do other editors agree with the recorded labels of pairs drawn at random?",
    ] = "Is the share of judgements for the policy, ties half, above min_share?"
    estimator: Literal[
        "mean over prompts of the mean over editors; Wilson interval with n*",
        "share of votes of other editors that are the recorded one; Wilson interval with n_eff",
    ] = "mean over prompts of the mean over editors; Wilson interval with n*"
    left_out: Literal["void prompts, repeats, anchors"] = "void prompts, repeats, anchors"
    identical_completions: Literal["a tie of every editor"] = "a tie of every editor"
    n_prompts: int
    editors: list[ShortName]
    n_repeats: int
    min_repeat_distance: int
    n_anchors: int
    anchors: list[ShortName] = OLD_ANCHORS  # of those that lots are drawn from; written when a study opens
    looks: Literal[1, 2]
    max_void_prompts: int
    min_share: float
    chance: float
    soundness: Soundness = Soundness()


def z_of_look(looks: Literal[1, 2], look: int) -> float:
    """The z of both bounds at this look (1 or 2)."""
    return Z_ONE_LOOK if looks == 1 else Z_TWO_LOOKS[look - 1]


def prereg_from(params: Params) -> Prereg:
    """The pre-registration that the parameters ask for."""
    study = params.study
    return Prereg(
        n_prompts=params.generate.n_prompts,
        editors=list(study.editors),
        n_repeats=study.n_repeats,
        min_repeat_distance=study.min_repeat_distance,
        n_anchors=study.n_anchors,
        looks=study.looks,
        max_void_prompts=study.max_void_prompts,
        min_share=params.limits.winrate.min_share,
        chance=params.limits.winrate.chance,
    )


def render_prereg(prereg: Prereg) -> str:
    """The pre-registration as YAML, keys in the order in which they are explained."""
    note = "# What was fixed before anyone judged. The commitment carries this file's SHA-256.\n"
    return note + yaml.safe_dump(
        prereg.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100
    )


def parse_prereg(data: bytes | None) -> Prereg | None:
    """The pre-registration, or None where it is missing or does not fit; its hash is checked elsewhere."""
    if data is None:
        return None
    try:
        return Prereg.model_validate(parse_yaml(data.decode()))
    except ValueError:  # ValidationError and UnicodeDecodeError are two
        return None
