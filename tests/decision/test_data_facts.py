"""How far a perfect reader could agree stands beside the accuracy gate, and changes no state."""

from stages.decision.data_facts import say_ceiling
from stages.decision.evidence import AccuracyEvidence, Ceiling
from stages.decision.judge import judge_accuracy
from tests.support.decision_factory import ACCURACY_LIMITS, accuracy_section, make_facts

KNOWN = "Even a perfect reader of our editors could agree with them on 73 to 84 of 100 such pairs."


def test_the_ceiling_is_told_with_the_range_of_the_agreement_or_why_it_is_unknown() -> None:
    assert say_ceiling(Ceiling(lowest=0.7349, highest=0.8401)) == KNOWN
    unknown = say_ceiling(Ceiling(reason="no two editors judged the same texts"))
    assert unknown == (
        "How far even a perfect reader could agree with the editors is unknown: "
        "no two editors judged the same texts."
    )
    assert say_ceiling(Ceiling()) == ""  # metrics of an earlier version


def test_the_ceiling_is_a_reason_of_the_accuracy_gate_and_changes_no_state() -> None:
    for changed in ({}, {"k": 180, "low": 0.54, "high": 0.65}):
        evidence = AccuracyEvidence(**accuracy_section(**changed))
        plain = judge_accuracy(evidence, make_facts(), limits=ACCURACY_LIMITS)
        told = judge_accuracy(evidence, make_facts(ceiling=KNOWN), limits=ACCURACY_LIMITS)
        assert told.reasons == (*plain.reasons, KNOWN)
        assert told._replace(reasons=()) == plain._replace(reasons=())
