"""Rows of a JSONL file by their place, without holding them: a million pairs do not fit in memory."""

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from stages.errors import InputError
from stages.files.io import WAY_OUT
from stages.files.record import first_problem

Row = TypeVar("Row", bound=BaseModel)


class RowFile(Generic[Row]):
    """A JSONL file that a stage has written, one `model` a line."""

    def __init__(self, path: Path, model: type[Row]) -> None:
        if not path.is_file():
            raise InputError(f"{path}: no such file; run `dvc repro`")
        self._path, self._model = path, model
        self._starts = array("q")

    def __iter__(self) -> Iterator[Row]:
        """Every row from first to last."""
        self._starts = array("q")
        with self._path.open("rb") as file:
            start = 0
            for number, line in enumerate(file, start=1):
                self._starts.append(start)
                start += len(line)
                yield self._parse(line, number)

    def at(self, places: Iterable[int]) -> Iterator[Row]:
        """The rows at these places, counted from 0, in this order; the file was read before."""
        with self._path.open("rb") as file:
            for place in places:
                file.seek(self._starts[place])
                yield self._parse(file.readline(), place + 1)

    def _parse(self, line: bytes, number: int) -> Row:
        try:
            return self._model.model_validate_json(line)
        except ValidationError as error:
            raise InputError(
                f"{self._path}: line {number} does not fit {self._model.__name__}: {first_problem(error)}; "
                f"{WAY_OUT}"
            ) from error
