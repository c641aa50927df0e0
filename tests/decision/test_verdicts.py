"""metrics/gate.json as it is read back."""

from typing import Any

import pytest

from stages.decision.verdicts import GATE_NAMES, parse_gates


def make_document(overall: str = "pending", **changed: Any) -> dict[str, Any]:
    verdict = {"state": "pending", "literal_met": "met", "reasons": "", "value": 0.7, "n": 300, **changed}
    return {"gate": {**dict.fromkeys(GATE_NAMES, verdict), "overall": {"state": overall}}}


def test_the_overall_state_is_that_of_the_gates() -> None:
    assert parse_gates(make_document()).overall.state == "pending"
    with pytest.raises(ValueError, match="overall is pass, and the gates make it pending"):
        parse_gates(make_document("pass"))


@pytest.mark.parametrize("changed", [{"value": 1e308}, {"n": 10**30}, {"n": -1}, {"low": float("nan")}])
def test_a_number_that_nobody_measures_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changed))):
        parse_gates(make_document(**changed))
