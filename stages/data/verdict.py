"""Is the data fit? What Great Expectations counted, beside what must be mended."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, Protocol

from stages.data.rules import RULES, RuleSetting
from stages.data.validation import CheckedRows


class Counted(Protocol):
    """What an adapter reports of one rule."""

    @property
    def rule(self) -> str:
        """Its name."""

    @property
    def n_violations(self) -> int:
        """Rows that break it."""

    @property
    def success(self) -> bool:
        """Is it broken by no more rows than allowed?"""


class RuleResult(NamedTuple):
    """One line of the table that people read."""

    rule: str
    sentence: str
    severity: Literal["error", "warning"]
    set_aside: bool
    allowed_share: float
    n_violations: int
    share: float
    passed: bool


def judge_rules(
    counted: Iterable[Counted], checked: CheckedRows, settings: Mapping[str, RuleSetting]
) -> list[RuleResult]:
    """One result per rule, in the order of `RULES`; ValueError where the two counts differ."""
    own = Counter(finding.rule for _, finding in checked.findings)
    by_rule = {one.rule: one for one in counted}
    differing = [name for name, one in by_rule.items() if one.n_violations != own[name]]
    if differing:
        raise ValueError(f"the counts of {', '.join(differing)} differ from the rows that were found")
    return [
        RuleResult(
            rule=name,
            sentence=RULES[name].sentence,
            severity=settings[name].severity,
            set_aside=settings[name].set_aside,
            allowed_share=settings[name].allowed_share,
            n_violations=by_rule[name].n_violations,
            share=by_rule[name].n_violations / checked.n_rows,
            passed=by_rule[name].success,
        )
        for name in RULES
        if name in by_rule
    ]


def find_broken(results: Iterable[RuleResult]) -> list[str]:
    """The error-level rules that are broken more often than allowed: the data is unfit."""
    return [result.rule for result in results if result.severity == "error" and not result.passed]
