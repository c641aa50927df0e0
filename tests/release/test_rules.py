"""When a release is refused."""

import pytest

from stages.decision.findings import State
from stages.decision.judge import summarize_gates, unmeasured
from stages.decision.verdicts import StoredGates, parse_gates
from stages.release.rules import (
    Objections,
    Registered,
    differences,
    object_to_gates,
    object_to_override,
    prereg_differences,
)
from stages.study.prereg import Prereg


def gates(winrate: State) -> StoredGates:
    fine = unmeasured("confirmed", "Fine.")
    found = summarize_gates(accuracy=fine, winrate=unmeasured(winrate, "Why."), capability=fine)
    return parse_gates({"gate": found})


@pytest.mark.parametrize("state", ["pass", "confirmed"])
def test_a_passing_state_has_no_objection(state: State) -> None:
    assert object_to_gates(gates(state)) == []


@pytest.mark.parametrize("state", ["invalid", "pending", "fail", "inconclusive"])
def test_any_other_state_has_one_that_names_the_gate(state: State) -> None:
    assert object_to_gates(gates(state)) == [
        f"the overall state is {state}",
        f"gate winrate is {state}: Why.",
    ]


@pytest.mark.parametrize(
    ("final", "overridable", "reason", "left"),
    [
        ([], [], None, []),
        ([], ["a"], None, ["a"]),
        (["f"], ["a"], None, ["f", "a"]),
        ([], ["a"], "because", []),
        (["f"], ["a"], "because", ["f"]),
        ([], ["a"], " \n", ['--override wants a reason: --override "why it ships all the same"']),
        ([], [], "because", ["nothing has to be overridden; leave --override out"]),
    ],
)
def test_an_override_sets_aside_what_can_be(
    final: list[str], overridable: list[str], reason: str | None, left: list[str]
) -> None:
    assert object_to_override(Objections(final, overridable), reason) == left


def test_each_moved_limit_and_hash_is_named() -> None:
    opened = Registered({"accuracy.min_share": 0.68, "gone": 1}, {"the held-out pairs": "a"})
    now = Registered({"accuracy.min_share": 0.6, "new": 2}, {"the held-out pairs": "b"})
    assert list(differences(opened, opened)) == []
    assert list(differences(opened, now)) == [
        "limits.accuracy.min_share was 0.68 when the study was opened, and is 0.6",
        "limits.gone was 1 when the study was opened, and is None",
        "limits.new was None when the study was opened, and is 2",
        "the held-out pairs had the hash a when the study was opened, and has b",
    ]


def test_each_field_of_the_pre_registration_counts() -> None:
    values = {"n_prompts": 50, "editors": ["a"], "n_repeats": 1, "min_repeat_distance": 1, "n_anchors": 1}
    sealed = Prereg(**values, looks=1, max_void_prompts=1, min_share=0.6, chance=0.5)
    assert list(prereg_differences(sealed, sealed)) == []
    moved = sealed.model_copy(update={"looks": 2})
    assert list(prereg_differences(sealed, moved)) == ["the pre-registration says looks 1, params.yaml now 2"]
