"""Using fewer rows than there are, on purpose and said so."""

from collections.abc import Sequence
from typing import Literal, TypeVar

from stages.errors import InputError

Row = TypeVar("Row")


def first_rows(rows: Sequence[Row], n: int | Literal["all"], *, key: str) -> list[Row]:
    """The first `n` rows; split files stand in salted-hash order, so this is a random subset.

    InputError where more are asked for than there are; `key` names the parameter that asked.
    """
    if n == "all":
        return list(rows)
    if not rows:
        raise InputError(f"{key}: {n} wanted, none there; run `dvc repro`, which makes the rows")
    if n > len(rows):
        raise InputError(f"{key}: {n} wanted, {len(rows)} there; set {len(rows)} or less, or `all`")
    return list(rows[:n])
