"""The one normal form in which texts are compared.

Two texts are equal when their words are: compatibility forms (NFKC), case, punctuation, symbols,
white space and invisible characters do not count, digits, accents and word order do. So
"Github  repo." equals "GitHub repo", and "10 sites" differs from "12 sites". In scripts that put no
spaces between words (Chinese, Japanese, Thai, ...) each letter with its marks counts as a word.
"""

import hashlib
import re
import unicodedata
from array import array

import numpy as np
from numpy.typing import NDArray


class _Separators(dict[int, str]):
    """A table for `str.translate`: letters, marks and digits stay, anything else is a space."""

    def __missing__(self, code: int) -> str:
        kind = unicodedata.category(chr(code))
        kept = "" if kind == "Cf" else chr(code) if kind[0] in "LMN" else " "  # Cf: soft hyphen, joiners
        self[code] = kept
        return kept


_SEPARATORS = _Separators()

# Thai, Lao, Tibetan, Burmese, Khmer, Tai scripts; kana, bopomofo, Han, Yi. Korean has spaces.
_BLOCKS = ((0x0E00, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF), (0x3041, 0x312F),
           (0x31A0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xA4CF), (0xF900, 0xFAFF),
           (0x20000, 0x323AF))  # fmt: skip
_MARKS = "".join(
    chr(code)
    for first, last in _BLOCKS[:5]
    for code in range(first, last + 1)
    if unicodedata.category(chr(code))[0] == "M"
)
CHARACTER = re.compile(f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in _BLOCKS)}][{_MARKS}]*")
MAX_LETTERS_PER_WORD = 25  # on average; a text with more has no spaces between its words


def normalise(text: str) -> str:
    """The words of `text`, case-folded and joined by single spaces.

    A text without any word (only signs) is compared by its signs, so "!!!" differs from "???".
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = folded.translate(_SEPARATORS)
    words = (kept if kept.isascii() else CHARACTER.sub(r" \g<0> ", kept)).split()
    return " ".join(words) if words else " ".join(folded.split())


def count_words(text: str) -> int:
    """Runs of characters between white space, as word processors count them; letters where none is put."""
    if text.isascii() or not CHARACTER.search(text):
        return len(text.split())
    return len(normalise(text).split())


def text_key(normal: str) -> int:
    """64 bits that stand for a normalised text; a million texts collide with a chance of 1e-7."""
    return (
        int.from_bytes(hashlib.blake2b(normal.encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 1
    )


class _WordNumbers(dict[str, int]):
    """32 bits per word, whatever texts came before; the last one says whether it is a single letter."""

    def __missing__(self, word: str) -> int:
        drawn = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4).digest())
        number = drawn | 1 if CHARACTER.fullmatch(word) else drawn & ~1
        self[word] = number
        return number


class TextTable:
    """Gives equal texts (after `normalise`) the same number, counting from 0."""

    def __init__(self) -> None:
        self._number_of_key: dict[int, int] = {}
        self._number_of_word = _WordNumbers()
        self._words = array("I")
        self._ends = array("q", [0])
        self.n_without_words = 0  # texts that put no spaces between words, in a script that is not known

    def __len__(self) -> int:
        return len(self._number_of_key)

    def add(self, text: str) -> int:
        """The number of `text`; its words are stored when it is new."""
        normal = normalise(text)
        number = self._number_of_key.setdefault(text_key(normal), len(self._number_of_key))
        if number == len(self._ends) - 1:
            words = normal.split()
            self._words.extend(map(self._number_of_word.__getitem__, words))
            self._ends.append(len(self._words))
            self.n_without_words += len(normal) > MAX_LETTERS_PER_WORD * (len(words) + 1)
        return number

    def find(self, text: str) -> int | None:
        """The number of `text` if an equal one was added."""
        return self._number_of_key.get(text_key(normalise(text)))

    def words_of(self, text: str) -> NDArray[np.uint32]:
        """The word numbers of a text that is not added."""
        return np.array([self._number_of_word[word] for word in normalise(text).split()], dtype=np.uint32)

    @property
    def keys(self) -> NDArray[np.uint64]:
        """`text_key` of each text, by its number."""
        return np.fromiter(self._number_of_key, dtype=np.uint64, count=len(self))

    @property
    def words(self) -> NDArray[np.uint32]:
        """The word numbers of all texts, one after the other; single letters are odd, see `CHARACTER`."""
        return np.frombuffer(self._words, dtype=np.uint32) if self._words else np.empty(0, dtype=np.uint32)

    @property
    def ends(self) -> NDArray[np.int64]:
        """Text `i` has the words `words[ends[i]:ends[i + 1]]`."""
        return np.frombuffer(self._ends, dtype=np.int64)


def run_hashes(words: NDArray[np.uint32], length: int) -> NDArray[np.uint64]:
    """A 64-bit hash of each run of `length` words, by the position at which the run starts.

    Positions less than `length` words before the end of `words` have none.
    """
    n_runs = max(len(words) - length + 1, 0)
    if not n_runs:
        return np.empty(0, dtype=np.uint64)
    hashes = np.zeros(n_runs, dtype=np.uint64)
    mixed = mix(words.astype(np.uint64) + np.uint64(1))
    for offset in range(length):
        hashes *= np.uint64(0x9E3779B97F4A7C15)  # odd, from the golden ratio
        hashes += mixed[offset : offset + n_runs]
    return mix(hashes)


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele et al. 2014): neighbouring inputs get unrelated outputs."""
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
