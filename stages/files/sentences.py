"""Where a sentence ends: the one definition by which texts are trimmed, counted and called cut off."""

import re

CLOSERS = "\"'”’»)\\]}*_`"
# Chinese and Japanese write no space after a sentence; elsewhere a point inside of 3.5 ends none.
SPACED, UNSPACED = ".!?…؟।", "。！？"
LAST_END = re.compile(rf"[{SPACED}{UNSPACED}][{CLOSERS}]*\Z")
SENTENCE_END = re.compile(rf"(?:[{SPACED}]+[{CLOSERS}]*(?=\s|\Z))|(?:[{UNSPACED}]+[{CLOSERS}]*)")


def sentence_ends(text: str) -> list[int]:
    """The position behind each sentence, closing quotes and brackets included."""
    return [match.end() for match in SENTENCE_END.finditer(text)]


def ends_a_sentence(text: str) -> bool:
    """Is the text's last sentence whole? White space at the end does not matter."""
    return LAST_END.search(text.rstrip()) is not None
