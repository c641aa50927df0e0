"""What is remembered of every pair while the file streams by: numbers, never texts."""

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stages.core.components import PairTexts
from stages.core.days import day_number
from stages.core.pairs import PreferencePair
from stages.core.surface import N_FEATURES, compare_surfaces
from stages.core.text_table import TextTable

SHOWN = {None: 0, "left": 1, "right": 2}


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
        self.texts, self.prompts = TextTable(), TextTable()
        self.ids, self.groups, self.editors, self.sections = Names(), Names(), Names(), Names()
        self.n_synthetic = 0
        self._columns = {name: array("q") for name in ("line", "id", "prompt", "chosen", "rejected", "group",
                                                       "editor", "section", "shown", "day")}  # fmt: skip
        self._surfaces = array("f")

    def __len__(self) -> int:
        return len(self._columns["line"])

    def add(self, line: int, pair: PreferencePair) -> None:
        """Remember one pair."""
        values = (
            line, self.ids.add(pair.pair_id), self.prompts.add(pair.prompt), self.texts.add(pair.chosen),
            self.texts.add(pair.rejected), self.groups.add(pair.group_id), self.editors.add(pair.editor),
            self.sections.add(pair.section), SHOWN[pair.chosen_shown],
            day_number(pair.reviewed_at),
        )  # fmt: skip
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)
        self._surfaces.extend(compare_surfaces(pair.chosen, pair.rejected))
        self.n_synthetic += pair.synthetic

    def column(self, name: str) -> NDArray[np.int64]:
        """One number per pair: line, id, prompt, chosen, rejected, group, editor, section, shown or day."""
        return np.array(self._columns[name], dtype=np.int64)

    @property
    def surfaces(self) -> NDArray[np.float32]:
        """Shape (pairs, features): chosen minus rejected, see `surface`."""
        return np.array(self._surfaces, dtype=np.float32).reshape(-1, N_FEATURES)

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


def lines_like(values: NDArray[np.int64], lines: NDArray[np.int64]) -> Sequence[int]:
    """Per entry, the line of the first entry with the same value; its own where it is the first."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return lines[first[inverse]].tolist()  # type: ignore[no-any-return]
