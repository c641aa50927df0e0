"""The rules of the data, each named as the sentence that must hold."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.data.texts import count_words
from stages.files.pairs import PreferencePair

About = Literal["pairs", "prompts"]


class Rule(NamedTuple):
    """`must_set_aside`: a row that breaks it has no usable pair, so it cannot be kept."""

    about: About
    sentence: str
    mend: str
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
        "pairs", "An editor preferred one of the two texts.", "have it judged again, or leave the tie out",
        True,
    ),
    "pair_ids_are_unique": Rule(
        "pairs", "No two rows have the same id.", "give the later row an id of its own", True
    ),
    "rows_are_unique": Rule(
        "pairs", "No two rows hold the same two texts in the same order.", "keep one of the rows"
    ),
    "completions_differ": Rule(
        "pairs", "The two texts differ in their words.", "drop the pair, or judge it again with both versions"
    ),
    "labels_do_not_conflict": Rule(
        "pairs", "No text is preferred over another in one row and the other way round in a second.",
        "let the editors settle which is better, and keep that row",
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


def derive_frame(
    holds: Mapping[str, NDArray[np.bool_]],
    row_of_pair: Sequence[int],
    id_of_pair: NDArray[np.int64],
    n_words: Sequence[int],
) -> dict[str, NDArray[np.generic]]:
    """Flags that a rule holds, except: null where a required field is, the id's number, a word count.

    A row without a pair gets an id number of its own, so that it repeats none.
    """
    n_rows = len(n_words)
    filled = np.where(holds["required_fields_are_filled"], 1.0, np.nan)
    ids = -1 - np.arange(n_rows, dtype=np.int64)
    ids[np.array(row_of_pair, dtype=np.int64)] = id_of_pair
    measured: dict[str, NDArray[np.generic]] = {
        "required_fields_are_filled": filled,
        "pair_ids_are_unique": ids,
        "word_counts_are_within_limits": np.array(n_words, dtype=np.int64),
    }
    return {rule: measured.get(rule, flags) for rule, flags in holds.items()}


def farthest_word_count(pair: PreferencePair | None, low: int, high: int) -> int:
    """The word count of the text that is farthest outside the limits; `low` where there is no pair."""
    if pair is None:
        return low
    counts = (count_words(pair.chosen), count_words(pair.rejected))
    return max(counts, key=lambda count: max(low - count, count - high))
