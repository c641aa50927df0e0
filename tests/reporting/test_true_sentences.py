"""Every sentence about judging, measuring and data stands on the page in the states in which it is true, and in no other."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stages import gate as gate_stage
from stages import report
from tests.support.decision_factory import (
    accuracy_section,
    capability_section,
    item_row,
    metrics_documents,
    winrate_section,
    write_world,
)
from tests.support.reading import own_blocks, reading_grade
from tests.test_report import PENDING_STUDY, WORLDS


class Facts(NamedTuple):
    """What is so in a world; `judged` where the ballots gave a number, `holds` where it may be used."""

    judged: bool = True
    holds: bool = True
    scored: bool = True
    synthetic: bool = False
    overall: str = "pass"


def unjudged(**changed: Any) -> dict[str, Any]:
    return metrics_documents(winrate={"winrate": PENDING_STUDY}, **changed)


CASES: dict[str, tuple[Facts, dict[str, Any], list[dict[str, Any]] | None]] = {
    "invalid": (Facts(overall="invalid"), WORLDS["invalid"], None),
    "fail": (Facts(overall="fail"), WORLDS["fail"], None),
    "pending": (Facts(judged=False, holds=False, overall="pending"), unjudged(), None),
    "inconclusive": (Facts(overall="inconclusive"), WORLDS["inconclusive"], None),
    "pass": (Facts(), WORLDS["pass"], None),
    "confirmed": (Facts(overall="confirmed"), WORLDS["confirmed"], None),
    "judged by another study": (
        Facts(holds=False, overall="invalid"),
        metrics_documents(winrate={"winrate": winrate_section(study_id="a" * 12)}),
        None,
    ),
    "failed before anyone judged": (
        Facts(judged=False, holds=False, overall="fail"),
        unjudged(capability={"capability": capability_section(1200, 500, high_two_sided=0.07)}),
        None,
    ),
    "rehearsal": (
        Facts(judged=False, holds=False, synthetic=True, overall="pending"),
        unjudged(accuracy={"holdout": accuracy_section(n_synthetic=300)}),
        [item_row(number, synthetic=True) for number in range(3)],
    ),
    "nothing scored": (Facts(judged=False, holds=False, scored=False, overall="pending"), unjudged(), None),
}
# sentence, as on the page -> when it is true
SENTENCES: dict[str, Callable[[Facts], bool]] = {
    "not judged yet": lambda it: not it.judged,
    "judged by": lambda it: it.judged and it.holds,
    "the judging cannot be used": lambda it: it.judged and not it.holds,
    "stays secret until our editors have judged": lambda it: not it.judged,
    "The judging cannot be used, so which model wrote which text is not told": lambda it: (
        it.judged and not it.holds
    ),
    "Starting model": lambda it: it.holds,  # a text's author is named
    "of 100 judgements went to the new model": lambda it: it.holds,
    "The blind test, editor by editor": lambda it: it.holds,
    "ballots are in.": lambda it: not it.judged,
    "of 100 pairs": lambda it: it.scored and it.overall != "invalid",
    "The held-out pairs have not been scored.": lambda it: not it.scored,
    "have tested 4 versions so far": lambda it: it.scored,
    "that our editors ranked from": lambda it: not it.synthetic,
    "that a program wrote and ranked": lambda it: it.synthetic,
    "Decide nothing from this page.": lambda it: it.synthetic,
    "Yes, release it.": lambda it: it.overall in ("pass", "confirmed"),
    "Release the new model": lambda it: it.overall in ("pass", "confirmed"),
    "Keep the starting model.": lambda it: it.overall == "fail",
    "It costs computer time only.": lambda it: (it.overall == "invalid" and it.holds) or not it.scored,
    "Where the ballots cannot be put right": lambda it: it.overall == "invalid" and not it.holds,
    "Run the other tests in full before then.": lambda it: not it.scored,
    "The answer is ready that day.": lambda it: it.overall == "pending" and not it.synthetic,
    "These are three of our own editors.": lambda it: True,
    "Liking is not success.": lambda it: True,
    "A bar is the likely range": lambda it: it.scored or it.holds,
}
EXCEPTIONS = {("of 100 pairs", "judged by another study")}  # there the set-aside pairs hold


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    def render(case: str) -> str:
        monkeypatch.chdir(tmp_path)
        facts, documents, items = CASES[case]
        write_world(tmp_path, documents, items)
        if not facts.scored:
            for name in ("accuracy", "capability"):
                (tmp_path / f"metrics/{name}.json").unlink()
        gate_stage.main()
        return report.founder_page(report.read_findings(), n_looks=4)

    return render


@pytest.mark.parametrize("case", CASES)
def test_a_sentence_stands_where_it_is_true_and_nowhere_else(case: str, pages: Callable[[str], str]) -> None:
    page = pages(case)
    facts = CASES[case][0]
    blocks = own_blocks(page)
    text = " ".join(blocks)
    assert f'class="answer {facts.overall}"' in page
    for sentence, is_true in SENTENCES.items():
        if (sentence, case) not in EXCEPTIONS:
            assert (sentence in text) == is_true(facts), sentence
    assert reading_grade("\n".join(blocks)) <= 9
    assert not re.search(r"grant|paragraph", text)  # what kind of text it is, params.yaml says


@pytest.mark.parametrize("case", CASES)
def test_the_model_card_says_who_judged_only_where_somebody_has(
    case: str, pages: Callable[[str], str]
) -> None:
    pages(case)
    card = report.model_card(report.read_findings())
    assert ("There is no judging that counts yet." in card) == (not CASES[case][0].holds)
