"""The rules of the data, each named as the sentence that must hold."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

About = Literal["pairs", "prompts"]


class Rule(NamedTuple):
    """`must_set_aside`: a row that breaks it has no usable pair, so it cannot be kept."""

    about: About
    sentence: str
    remedy: str
    must_set_aside: bool = False


class RuleSetting(NamedTuple):
    """How much a rule matters: from params.yaml `validate.rules`."""

    severity: Literal["error", "warning"]
    allowed_share: float
    set_aside: bool


RULES: dict[str, Rule] = {
    "rows_are_readable": Rule(
        "pairs", "Every row can be read.", "write the row again as UTF-8, whole and in one piece", True
    ),
    "required_fields_are_filled": Rule(
        "pairs", "Id, prompt and both texts are filled in.", "fill the field, or take the row out", True
    ),
    "fields_have_their_type": Rule(
        "pairs", "Texts are texts, and every field holds one value.", "write the value itself, as text", True
    ),
    "preference_is_decided": Rule(
        "pairs", "Most of the editors who judged preferred one of the two texts.",
        "have it judged by one more editor, or leave it out", True,
    ),
    "pair_ids_are_unique": Rule(
        "pairs", "No two rows have the same id, but those that judge the same two texts.",
        "give the later row an id of its own; votes on one pair must have its very texts", True
    ),
    "rows_are_unique": Rule(
        "pairs", "No editor judged the same two texts twice in the same way.",
        "nothing to do: one row is the editor's vote, a repeat is none; else look why it was exported twice",
        True,
    ),
    "editors_are_spelled_one_way": Rule(
        "pairs", "No editor's name differs from another's in case, spaces or punctuation only.",
        "write a name in one way: as it is, one editor's votes are counted as two editors'",
    ),
    "completions_differ": Rule(
        "pairs", "The two texts differ.", "drop the pair, or judge it again with both versions"
    ),
    "completions_differ_in_words": Rule(
        "pairs", "The two texts differ in more than punctuation and case.",
        "nothing to do where such an edit was judged; else drop the pair",
    ),
    "labels_do_not_conflict": Rule(
        "pairs", "Nobody prefers one text over another and the other way round in a second row.",
        "let the editor settle which is better, and keep that row; where the rows are of several editors, "
        "name them in `editor`, and their votes are counted",
        True,
    ),
    "labels_have_no_cycle": Rule(
        "pairs", "Preferences do not run in a circle over three or more texts.",
        "let the editors rank the texts of the circle, and keep the rows that agree",
    ),
    "text_encoding_is_sound": Rule(
        "pairs", "Texts hold no garbled characters and no control characters.",
        "export the text again as UTF-8 from where it was written",
    ),
    "word_counts_are_within_limits": Rule(
        "pairs", "Each text has neither too few nor too many words.",
        "cut the text to the paragraph that was judged, or change validate.min_words or max_words",
    ),
    "completions_end_a_sentence": Rule(
        "pairs", "Each text ends where a sentence ends.", "look whether the end was cut off"
    ),
    "prompt_does_not_leak_into_completion": Rule(
        "pairs", "No text repeats its prompt.", "take the prompt out of the text"
    ),
    "texts_hold_no_markup": Rule("pairs", "Texts hold no HTML.", "export plain text"),
    "texts_are_no_formulas": Rule(
        "pairs", "No text begins like a spreadsheet formula.", "never open the file in a spreadsheet unquoted"
    ),
    "pairs_are_not_near_duplicates": Rule(
        "pairs", "No text is equal or nearly equal to a text of another pair.",
        "nothing to do: such pairs stay on one side of the split",
    ),
    "sides_are_not_near_duplicates": Rule(
        "pairs", "The two texts of a pair are more than a small edit apart.",
        "nothing to do: a small edit is a real preference",
    ),
    "no_personal_data_patterns": Rule(
        "pairs", "Texts hold nothing that looks like an e-mail address, telephone or card number.",
        "replace it by a made-up one before training",
    ),
    "prompts_are_readable": Rule(
        "prompts", "Every prompt row can be read and has an id and a prompt.", "fill in both fields", True
    ),
    "prompts_are_unique": Rule(
        "prompts", "No two prompts, and no two prompt ids, are the same.", "replace the later prompt", True
    ),
    "prompts_are_fresh": Rule(
        "prompts", "No prompt of the study stands in a pair.", "write a prompt that no editor has worked on"
    ),
    "prompts_are_not_near_duplicates": Rule(
        "prompts", "No prompt of the study is nearly equal to another.",
        "vary the prompt, unless a template is meant",
    ),
}  # fmt: skip


def compare_rules(settings: Mapping[str, RuleSetting]) -> list[str]:
    """What is wrong with the settings of the rules; empty when each rule has a possible one."""
    problems = [f"{name}: is no known rule; remove it" for name in settings if name not in RULES]
    problems += [f"{name}: is missing; put it back" for name in RULES if name not in settings]
    return problems + [
        f"{name}: set_aside must be true, such a row has no pair that could be kept"
        for name, setting in settings.items()
        if name in RULES and RULES[name].must_set_aside and not setting.set_aside
    ]


class RuleResult(NamedTuple):
    """One line of the table that people read; `share` of the rows breaks the rule."""

    rule: str
    sentence: str
    remedy: str
    severity: Literal["error", "warning"]
    set_aside: bool
    allowed_share: float
    n_violations: int
    share: float
    passed: bool


N_DECIMALS = 12  # 1 - 0.58 is 0.42000000000000004, which 42 of 100 would miss


def judge_rules(
    n_violations: Mapping[str, int], n_rows: int, settings: Mapping[str, RuleSetting]
) -> list[RuleResult]:
    """One result per rule of `n_violations`, in the order of `RULES`; exactly the allowed share passes."""
    return [
        RuleResult(
            rule=name,
            sentence=rule.sentence,
            remedy=rule.remedy,
            severity=settings[name].severity,
            set_aside=settings[name].set_aside,
            allowed_share=settings[name].allowed_share,
            n_violations=n_violations[name],
            share=n_violations[name] / n_rows,
            passed=round(n_violations[name] / n_rows, N_DECIMALS) <= settings[name].allowed_share,
        )
        for name, rule in RULES.items()
        if name in n_violations
    ]


def find_broken(results: Iterable[RuleResult]) -> list[str]:
    """The error-level rules that are broken more often than allowed: the data is unfit."""
    return [result.rule for result in results if result.severity == "error" and not result.passed]
