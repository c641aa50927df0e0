"""The probe: has training damaged what no editor looked at? Two models on the same texts and prompts.

Perplexity on neutral texts, repetition, and instructions followed by rule. It is no gate: too few
texts and prompts for a verdict, enough to see a model that has come apart.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from stages.inference.probe.prompts import PROMPTS
from stages.inference.probe.rows import Answer, ProbeRow, TextScore
from stages.inference.probe.texts import TEXTS
from stages.measures.paired import paired_difference
from stages.measures.probe_checks import CHECKS, Reply, repeated_share


class Probed(NamedTuple):
    """One model's rows by their ids, in the order of the probe set."""

    texts: dict[str, TextScore]
    answers: dict[str, Answer]
    config_sha256: str


class ProbeError(ValueError):
    """The rows of one model are not those of the present probe set; the message says how."""


def sort_rows(rows: Sequence[ProbeRow]) -> Probed:
    """One model's rows; ProbeError unless each text and prompt stands there once, under one configuration."""
    texts = [row.root for row in rows if isinstance(row.root, TextScore)]
    answers = [row.root for row in rows if isinstance(row.root, Answer)]
    _refuse_other_ids([row.text_id for row in texts], [text.text_id for text in TEXTS], "texts")
    _refuse_other_ids([row.prompt_id for row in answers], [prompt.prompt_id for prompt in PROMPTS], "prompts")
    configurations = {row.root.config_sha256 for row in rows}
    if len(configurations) != 1:
        raise ProbeError("the rows come from more than one configuration; run probe again")
    return Probed(
        {row.text_id: row for row in texts}, {row.prompt_id: row for row in answers}, configurations.pop()
    )


def _refuse_other_ids(found: Sequence[str], wanted: Sequence[str], what: str) -> None:
    if sorted(found) != sorted(wanted):
        missing, extra = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
        raise ProbeError(
            f"{len(found)} {what}, {len(wanted)} were expected "
            f"(missing: {missing[:3]}, unknown: {extra[:3]}); run probe again"
        )


def perplexity(probed: Probed) -> float:
    """exp of the mean negative log-prob a token, each text weighing the same; >= 1, lower is better."""
    return float(np.exp(np.mean([_surprise(row) for row in probed.texts.values()])))


def _surprise(row: TextScore) -> float:
    return -row.logp / row.n_tokens


def is_followed(prompt_id: str, probed: Probed) -> bool:
    """Whether the model followed the instruction."""
    answer = probed.answers[prompt_id]
    return CHECKS[prompt_id](Reply(answer.completion, answer.ended))


def repetition(probed: Probed) -> float:
    """Mean share of repeated runs of four words over all answers."""
    return float(np.mean([repeated_share(row.completion) for row in probed.answers.values()]))


def summarise(base: Probed, policy: Probed) -> dict[str, Any]:
    """The `probe` part of metrics/probe.json: both models, and what rose or fell with its interval.

    All intervals are two-sided 95 % over texts or prompts; positive is worse.
    """
    if base.config_sha256 != policy.config_sha256:
        return {"same_items": False, "reason": "the models were probed under different configurations"}
    surprise = {name: _surprise(policy.texts[name]) - _surprise(row) for name, row in base.texts.items()}
    repeated = {
        name: repeated_share(policy.answers[name].completion) - repeated_share(row.completion)
        for name, row in base.answers.items()
    }
    worse = {name: float(is_followed(name, base)) - is_followed(name, policy) for name in base.answers}
    rise = _with_ends(surprise, is_bounded=False)
    return {
        "same_items": True,
        "config_sha256": base.config_sha256,
        "n_texts": len(TEXTS),
        "n_prompts": len(PROMPTS),
        "base": _describe(base),
        "policy": _describe(policy),
        "perplexity_rise": {name: float(np.expm1(end)) for name, end in rise.items()},
        "repetition_rise": _with_ends(repeated, is_bounded=False),
        "following_drop": _with_ends(worse, is_bounded=True),
    }


def _with_ends(differences: Mapping[str, float], *, is_bounded: bool) -> dict[str, float]:
    """The mean difference and both ends; each text or prompt stands for itself."""
    found = paired_difference([*differences.values()], [*differences], is_bounded=is_bounded)
    return {"value": found.value, "low": found.low, "high": found.high}


def _describe(probed: Probed) -> Mapping[str, float | int]:
    n_followed = sum(is_followed(prompt.prompt_id, probed) for prompt in PROMPTS)
    return {
        "perplexity": perplexity(probed),
        "repetition": repetition(probed),
        "n_followed": n_followed,
        "followed": n_followed / len(PROMPTS),
        "n_ended": sum(row.ended for row in probed.answers.values()),
    }


def text_table(base: Probed, policy: Probed) -> list[list[object]]:
    """A row a text: id, genre, perplexity of base and policy, and their ratio less one."""
    table: list[list[object]] = []
    for text in TEXTS:
        before, after = _surprise(base.texts[text.text_id]), _surprise(policy.texts[text.text_id])
        perplexities = [float(np.exp(before)), float(np.exp(after))]
        table.append([text.text_id, text.genre, *perplexities, float(np.expm1(after - before))])
    return table


def prompt_table(base: Probed, policy: Probed) -> list[list[object]]:
    """A row a prompt: id, ability, and for base and policy followed (0 or 1) and the repeated share."""
    return [
        [
            prompt.prompt_id,
            prompt.ability,
            int(is_followed(prompt.prompt_id, base)),
            int(is_followed(prompt.prompt_id, policy)),
            repeated_share(base.answers[prompt.prompt_id].completion),
            repeated_share(policy.answers[prompt.prompt_id].completion),
        ]
        for prompt in PROMPTS
    ]
