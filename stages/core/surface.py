"""Features of a text that have nothing to do with what it says, for the trivial baselines."""

import re

FEATURES = (
    "characters", "words", "sentences", "commas", "digits", "capitals", "quotes", "parentheses",
    "letters_per_word", "words_per_sentence",
)  # fmt: skip
N_FEATURES = len(FEATURES)
SENTENCE_END = re.compile(r"[.!?]+")


def measure_surface(text: str) -> tuple[float, ...]:
    """The value of each of `FEATURES`."""
    words = text.split()
    n_sentences = max(1, len(SENTENCE_END.findall(text)))
    return (
        len(text), len(words), n_sentences, text.count(","), sum(map(str.isdigit, text)),
        sum(map(str.isupper, text)),
        sum(text.count(mark) for mark in "\"'“”‘’"), text.count("("),
        sum(map(len, words)) / max(1, len(words)), len(words) / n_sentences,
    )  # fmt: skip


def compare_surfaces(chosen: str, rejected: str) -> list[float]:
    """Chosen minus rejected, feature by feature."""
    return [a - b for a, b in zip(measure_surface(chosen), measure_surface(rejected), strict=True)]
