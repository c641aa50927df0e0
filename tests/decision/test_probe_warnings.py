"""When the probe speaks up beside a verdict, and in which words."""

from fractions import Fraction
from typing import Any

import pytest

from stages.decision.probe_warnings import ProbeLimits, warn
from stages.errors import InputError

LIMITS = ProbeLimits(Fraction(1, 10), Fraction(1, 10), Fraction(15, 100))
STILL = {"value": 0.0, "low": -0.02, "high": 0.02}


def document(**changed: Any) -> dict[str, Any]:
    probe = {
        "same_items": True,
        "n_texts": 24,
        "n_prompts": 24,
        "base": {"n_followed": 12, "repetition": 0.1},
        "policy": {"n_followed": 7, "repetition": 0.1},
        "perplexity_rise": STILL,
        "repetition_rise": STILL,
        "following_drop": STILL,
    }
    return {"probe": probe | changed}


def moved(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def test_nothing_moved_or_nothing_run_is_silence() -> None:
    assert warn(document(), LIMITS) == ""
    assert warn(None, LIMITS) == ""


@pytest.mark.parametrize("name", ["perplexity_rise", "repetition_rise", "following_drop"])
def test_a_move_must_be_beyond_the_limit_and_no_accident(name: str) -> None:
    assert warn(document(**{name: moved(0.2, 0.01, 0.4)}), LIMITS) != ""
    assert warn(document(**{name: moved(0.2, -0.01, 0.4)}), LIMITS) == ""
    assert warn(document(**{name: moved(-0.3, -0.4, -0.2)}), LIMITS) == ""


def test_touching_the_limit_is_not_crossing_it() -> None:
    assert warn(document(repetition_rise=moved(0.1, 0.05, 0.15)), LIMITS) == ""
    assert warn(document(repetition_rise=moved(0.1001, 0.05, 0.15)), LIMITS) != ""


def test_all_that_moved_is_one_sentence_with_counts_and_ranges() -> None:
    said = warn(
        document(perplexity_rise=moved(0.14, 0.09, 0.2), following_drop=moved(0.21, 0.02, 0.4)), LIMITS
    )
    assert said == (
        "Side check on general behaviour: ordinary text surprises the new model 14 (likely 9 to 20) in 100 "
        "more than the starting model, over 24 texts (limit 10) and it follows 7 of 24 simple instructions, "
        "the starting model 12 (limit 15 in 100 fewer)."
    )


def test_what_cannot_be_used_is_said() -> None:
    assert "not probed in the same way" in warn({"probe": {"same_items": False, "reason": "x"}}, LIMITS)
    assert "cannot be used" in warn({"probe": {"same_items": True}}, LIMITS)
    assert "cannot be used. The file is broken." in warn(InputError("The file is broken"), LIMITS)
    assert "no part called probe" in warn({}, LIMITS)
