"""The one normal form in which texts are compared.

Two texts are equal when their words are: compatibility forms (NFKC), case, punctuation, symbols,
white space and invisible characters do not count, digits, accents and word order do. So
"Github  repo." equals "GitHub repo", and "10 sites" differs from "12 sites".
"""

import hashlib
import unicodedata


class _Separators(dict[int, str]):
    """A table for `str.translate`: letters, marks and digits stay, anything else is a space."""

    def __missing__(self, code: int) -> str:
        kind = unicodedata.category(chr(code))
        kept = "" if kind == "Cf" else chr(code) if kind[0] in "LMN" else " "  # Cf: soft hyphen, joiners
        self[code] = kept
        return kept


_SEPARATORS = _Separators()


def normalise(text: str) -> str:
    """The words of `text`, case-folded and joined by single spaces.

    A text without any word (only signs) is compared by its signs, so "!!!" differs from "???".
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = folded.translate(_SEPARATORS).split()
    return " ".join(words) if words else " ".join(folded.split())


def count_words(text: str) -> int:
    """Runs of characters between white space, as word processors count them."""
    return len(text.split())


def text_key(normal: str) -> int:
    """64 bits that stand for a normalised text; a million texts collide with a chance of 1e-7."""
    return (
        int.from_bytes(hashlib.blake2b(normal.encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 1
    )
