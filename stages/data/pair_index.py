"""What is remembered of every pair while the file streams by: numbers, never texts."""

import re
from array import array
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from stages.data.components import PairTexts
from stages.data.forms.rows import VOTE_SOURCES
from stages.data.texts import TextTable, normalise, text_key
from stages.files.pairs import PreferencePair
from stages.files.sentences import sentence_ends

UNKNOWN = -1
DAY = re.compile(r"\d{4}-?\d{2}-?\d{2}([T ].*)?")  # seconds since 1970 would pass as a day of the year 1712


def day_number(text: str | None) -> int:
    """The ordinal of an ISO 8601 day or time, as it was written there; UNKNOWN for anything else."""
    if text is None or not DAY.fullmatch(text):
        return UNKNOWN
    try:
        return datetime.fromisoformat(text).toordinal()
    except ValueError:
        return UNKNOWN


def say_line(line: int) -> str:
    """A line of the file of pairs, or (below 0) of the file of further votes, as a message names it."""
    return f"line {line}" if line > 0 else f"line {-line} of the further votes"


FEATURES = (
    "characters", "words", "sentences", "commas", "digits", "capitals", "quotes", "parentheses",
    "letters_per_word", "words_per_sentence",
)  # fmt: skip
N_FEATURES = len(FEATURES)


def measure_text(text: str) -> tuple[float, ...]:
    """The value of each of `FEATURES`."""
    words = text.split()
    n_sentences = max(1, len(sentence_ends(text)))
    return (
        len(text), len(words), n_sentences, text.count(","), sum(map(str.isdigit, text)),
        sum(map(str.isupper, text)),
        sum(text.count(mark) for mark in "\"'“”‘’"), text.count("("),
        sum(map(len, words)) / max(1, len(words)), len(words) / n_sentences,
    )  # fmt: skip


def compare_texts(chosen: str, rejected: str) -> list[float]:
    """Chosen minus rejected, feature by feature."""
    return [a - b for a, b in zip(measure_text(chosen), measure_text(rejected), strict=True)]


SHOWN = {None: 0, "left": 1, "right": 2}
# Of a vote; a row of the pairs may come from elsewhere, and is a first vote, too.
SOURCES = {None: 0} | {name: number for number, name in enumerate(VOTE_SOURCES)}


class Names:
    """Numbers for names, counting from 0; no name is -1."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def add(self, name: str | None) -> int:
        """The number of `name`."""
        return -1 if name is None else self._numbers.setdefault(name, len(self._numbers))

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def all(self) -> list[str]:
        """The names by number."""
        return list(self._numbers)


class PairIndex:
    """One entry per row that holds a pair, in the order of the file."""

    def __init__(self) -> None:
        self.texts = TextTable()
        self.ids, self.groups, self.editors, self.sections = Names(), Names(), Names(), Names()
        self.n_synthetic = 0
        self._columns = {name: array("q") for name in ("line", "id", "prompt", "chosen", "rejected", "group",
                                                       "editor", "section", "shown", "day",
                                                       "content", "id_key", "source", "way")}  # fmt: skip
        self._differences = array("f")
        self._ties = array("q")

    def __len__(self) -> int:
        return len(self._columns["line"])

    def add(self, line: int, pair: PreferencePair) -> None:
        """Remember one pair."""
        values = (
            line, self.ids.add(pair.pair_id), self.texts.add(pair.prompt), self.texts.add(pair.chosen),
            self.texts.add(pair.rejected), self.groups.add(pair.group_id), self.editors.add(pair.editor),
            self.sections.add(pair.section), SHOWN[pair.chosen_shown],
            day_number(pair.reviewed_at),
            text_key(repr(sorted(pair.model_dump(exclude={"pair_id"}).items()))),
            text_key(pair.pair_id), SOURCES.get(pair.source, 0),
            1 if pair.chosen <= pair.rejected else -1,
        )  # fmt: skip
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)
        self._differences.extend(compare_texts(pair.chosen, pair.rejected))
        self.n_synthetic += pair.synthetic

    def add_tie(self, line: int, pair: PreferencePair) -> None:
        """Remember that an editor preferred neither text of this pair."""
        prompt, *texts = (text_key(normalise(text)) for text in (pair.prompt, pair.chosen, pair.rejected))
        said = text_key(repr(sorted(pair.model_dump(exclude={"pair_id"}).items())))
        self._ties.extend(
            (line, self.editors.add(pair.editor), SOURCES.get(pair.source, 0), prompt, *sorted(texts), said,
             text_key(pair.pair_id))
        )  # fmt: skip

    @property
    def ties(self) -> NDArray[np.int64]:
        """Shape (8, ties): line, editor, source, `text_key` of prompt and both texts, content, id_key."""
        return np.array(self._ties, dtype=np.int64).reshape(-1, 8).T

    def column(self, name: str) -> NDArray[np.int64]:
        """One number per pair: line, id, prompt, chosen, rejected, group, editor, section, shown or day;
        a hash of what the row holds beside its id (content), or of the id (id_key); source, see SOURCES;
        or way, which tells texts apart that differ in signs only: 1 or -1."""
        return np.array(self._columns[name], dtype=np.int64)

    @property
    def feature_differences(self) -> NDArray[np.float32]:
        """Shape (pairs, features): chosen minus rejected, see `FEATURES`."""
        return np.array(self._differences, dtype=np.float32).reshape(-1, N_FEATURES)

    @property
    def pair_texts(self) -> PairTexts:
        """The numbers that components are made of."""
        return PairTexts(
            self.texts,
            self.column("prompt"),
            self.column("chosen"),
            self.column("rejected"),
            self.column("group"),
        )


def first_alike(values: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Per entry, the entry with the same value that comes first in `order`; itself where it is that one."""
    _, first, inverse = np.unique(values[order], return_index=True, return_inverse=True)
    found = np.empty(len(values), dtype=np.int64)
    found[order] = order[first[inverse.ravel()]]
    return found
