"""Progress of long work: a bar on a terminal, one plain line now and then in a log."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 10.0  # in a log; a bar redraws itself


def say(text: str) -> None:
    """Print one line for the person watching; never part of a result. Of several processes one speaks."""
    if os.environ.get("RANK", "0") == "0":  # torchrun numbers the processes it starts
        print(text, file=sys.stderr, flush=True)


@contextmanager
def waiting(words: str) -> Iterator[None]:
    """Show `words` on a terminal while something runs that takes seconds and cannot be counted.

    What is printed meanwhile would go to the same place, so a result is printed afterwards.
    """
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{words} ...", spinner="line"):  # letters that every terminal has
        yield


def track(items: Iterable[Item], *, total: int, label: str, unit: str) -> Iterator[Item]:
    """Yield `items` while showing how many of `total` are done, the rate and the time left."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total, desc=label, unit=unit)
        return
    start = last = time.monotonic()
    for n_done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or n_done == total:
            last = now
            say(progress_line(n_done, total, now - start, label=label, unit=unit))


def progress_line(n_done: int, total: int, seconds: float, *, label: str, unit: str) -> str:
    """One log line: done, total, rate per second and the time left at that rate."""
    rate = n_done / seconds if seconds > 0 else 0.0
    left = (total - n_done) / rate if rate > 0 else 0.0
    return f"{label}: {n_done}/{total} {unit}, {rate:.2f} {unit}/s, {left:.0f} s left"
