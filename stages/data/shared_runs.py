"""Texts that share a run of consecutive words, which the similarity of whole texts misses.

Completions are joined by runs of `completion` words, a prompt and a completion too. Prompts are
joined by runs of `prompt` words. A run that stands in very many prompts is their template and
joins no prompt. In scripts without spaces a run has CHARACTERS_PER_WORD times as many letters.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.data.texts import TextTable, normalise, run_hashes

N_RUNS_PER_PASS = 20_000_000  # bounds the memory of one pass to about 1 GiB
N_POSITIONS_PER_CHUNK = 4_000_000
CHARACTERS_PER_WORD = 3  # a word is 1 to 2 letters in Chinese, 2 to 3 in Japanese, 3 to 4 in Thai
TEMPLATE_SHARE = 0.05
MIN_TEMPLATE_PROMPTS = 10

Links = NDArray[np.int64]  # shape (n, 2): two text numbers a row
Flags = NDArray[np.bool_]


class RunLengths(NamedTuple):
    """How many words a shared run has, 0 where none is looked for; from params.yaml `split`."""

    completion: int
    prompt: int


class Texts(NamedTuple):
    """Some texts of a table: their words one after the other, where each begins and ends, their numbers."""

    words: NDArray[np.uint32]
    ends: NDArray[np.int64]
    numbers: NDArray[np.int64]

    @classmethod
    def of(cls, table: TextTable) -> "Texts":
        """All of them."""
        return cls(table.words, table.ends, np.arange(len(table)))

    def only(self, chosen: Flags) -> "Texts":
        """Those with a flag."""
        n_words = np.diff(self.ends)
        ends = np.concatenate([[0], np.cumsum(n_words[chosen])])
        return Texts(self.words[np.repeat(chosen, n_words)], ends, self.numbers[chosen])

    def at(self, start: int, stop: int) -> NDArray[np.int64]:
        """Per position of a word from `start` to before `stop`: the place of its text."""
        first, last = np.searchsorted(self.ends, [start, stop - 1], side="right") - 1
        n_words = np.diff(self.ends[first : last + 2].clip(start, stop))
        return np.repeat(np.arange(first, last + 1), n_words)


class Runs(NamedTuple):
    """One entry per run, in the order of the positions."""

    hashes: NDArray[np.uint64]
    texts: NDArray[np.int64]


def max_prompts_of_run(n_prompts: int) -> int:
    """A run that stands in more prompts than this is a template's."""
    return max(MIN_TEMPLATE_PROMPTS, int(TEMPLATE_SHARE * n_prompts))


def link_shared_runs(table: TextTable, is_prompt: Flags, lengths: RunLengths) -> Links:
    """Links that connect all texts with such a run in common; `is_prompt` has one flag per text.

    The links of one run form a chain, so three texts with the same run have two links.
    """
    links = [np.empty((0, 2), dtype=np.int64)]
    everything = Texts.of(table)
    searches = ((lengths.completion, everything, False), (lengths.prompt, everything.only(is_prompt), True))
    for n_words, searched, joins_prompts in searches:
        for n, in_characters in _lengths_of_runs(n_words, searched):
            n_passes = 1 + len(searched.words) // N_RUNS_PER_PASS
            for part in range(n_passes):
                found = [
                    Runs(runs.hashes[mine], runs.texts[mine])
                    for runs in _runs(searched, n, in_characters=in_characters)
                    if (mine := runs.hashes % np.uint64(n_passes) == part).any()
                ]
                if found:
                    links.append(_link(found, is_prompt, joins_prompts=joins_prompts))
    return np.unique(np.concatenate(links), axis=0)


def _lengths_of_runs(n_words: int, texts: Texts) -> Iterator[tuple[int, bool]]:
    """Lengths in words, and in letters where there are some; none that no text reaches."""
    longest = int(np.diff(texts.ends).max(initial=0))
    if 0 < n_words <= longest:
        yield n_words, False
        if n_words * CHARACTERS_PER_WORD <= longest and np.bitwise_or.reduce(texts.words) & 1:
            yield n_words * CHARACTERS_PER_WORD, True


def _runs(texts: Texts, n: int, *, in_characters: bool) -> Iterator[Runs]:
    """All runs of `n` words, of which most are letters or most are not; some million at a time."""
    for start in range(0, len(texts.words), N_POSITIONS_PER_CHUNK):
        chunk = texts.words[start : start + N_POSITIONS_PER_CHUNK + n - 1]
        hashes = run_hashes(chunk, n)
        if not len(hashes):
            continue
        stop = start + len(hashes)
        places = texts.at(start, stop)
        wanted = np.arange(start, stop) + n <= texts.ends[places + 1]
        n_letters = np.concatenate([[0], np.cumsum(chunk & 1, dtype=np.int64)])
        wanted &= (2 * (n_letters[n:] - n_letters[: len(hashes)]) > n) == in_characters
        yield Runs(hashes[wanted], texts.numbers[places[wanted]])


def _link(found: Sequence[Runs], is_prompt: Flags, *, joins_prompts: bool) -> Links:
    hashes = np.concatenate([runs.hashes for runs in found])
    texts = np.concatenate([runs.texts for runs in found])
    order = np.argsort(hashes, kind="stable")
    hashes, texts = hashes[order], texts[order]
    is_first = np.ones(len(hashes), dtype=bool)  # a text may hold the same run twice
    is_first[1:] = (hashes[1:] != hashes[:-1]) | (texts[1:] != texts[:-1])
    hashes, texts = hashes[is_first], texts[is_first]
    run = np.cumsum(np.concatenate([[False], hashes[1:] != hashes[:-1]]))
    n_prompts = np.bincount(run, weights=is_prompt[texts])
    n_completions = np.bincount(run) - n_prompts
    may_join = (n_prompts <= max_prompts_of_run(int(is_prompt.sum()))) & (joins_prompts | (n_completions > 0))
    stays = ~is_prompt[texts] | may_join[run]
    run, texts = run[stays], texts[stays]
    meets = run[1:] == run[:-1]
    return np.unique(np.stack([texts[:-1][meets], texts[1:][meets]], axis=1), axis=0)


class Shared(NamedTuple):
    """Words of a fresh prompt that also stand in this text."""

    text: int
    words: str


def find_shared_runs(
    fresh: Sequence[str], table: TextTable, is_prompt: Flags, lengths: RunLengths
) -> dict[int, Shared]:
    """Per place of a fresh prompt that shares a run with a text of the table: one such run."""
    found: dict[int, Shared] = {}
    everything = Texts.of(table)
    searches = ((lengths.completion, everything, ~is_prompt),
                (lengths.prompt, everything.only(is_prompt), is_prompt))  # fmt: skip
    for n_words, texts, searched in searches:
        for n, in_characters in _lengths_of_runs(n_words, texts):
            own = [run_hashes(table.words_of(text), n) for text in fresh]
            wanted = np.unique(np.concatenate([*own, np.empty(0, dtype=np.uint64)]))
            if not len(wanted):
                continue
            first, n_prompts = _places_of(
                wanted, _runs(texts, n, in_characters=in_characters), searched, is_prompt
            )
            counts = (first >= 0) & (n_prompts <= max_prompts_of_run(int(is_prompt.sum())))
            for place, hashes in enumerate(own):
                at = np.searchsorted(wanted, hashes)
                for start in np.flatnonzero(counts[at])[:1].tolist():
                    words = normalise(fresh[place]).split()[start : start + n]
                    found.setdefault(place, Shared(int(first[at[start]]), " ".join(words)))
    return found


def _places_of(
    wanted: NDArray[np.uint64], every: Iterable[Runs], searched: Flags, is_prompt: Flags
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Per wanted run: the first searched text with it (-1: none), and how many prompts hold it."""
    first, n_prompts = np.full(len(wanted), -1), np.zeros(len(wanted), dtype=np.int64)
    for runs in every:
        at = np.minimum(np.searchsorted(wanted, runs.hashes), len(wanted) - 1)
        meets = wanted[at] == runs.hashes
        pairs = np.unique(np.stack([at[meets], runs.texts[meets]], axis=1), axis=0)
        n_prompts += np.bincount(pairs[is_prompt[pairs[:, 1]], 0], minlength=len(wanted))
        mine = pairs[searched[pairs[:, 1]]][::-1]  # the first text is assigned last
        new = mine[first[mine[:, 0]] < 0]
        first[new[:, 0]] = new[:, 1]
    return first, n_prompts
