"""How hard a text reads: the Flesch-Kincaid grade (Kincaid et al. 1975), and a page's own words."""

import re
from html.parser import HTMLParser

from stages.prose.habits import count_syllables

BLOCKS = {
    "p",
    "li",
    "h1",
    "h2",
    "h3",
    "h4",
    "td",
    "th",
    "div",
    "caption",
    "small",
    "blockquote",
    "title",
    "summary",
    "span",
}
SILENT = {"style", "script", "figure", "nav"}
VOID = {"meta", "br", "hr", "link", "img"}


def reading_grade(text: str) -> float:
    """US school grade: 0.39 words per sentence + 11.8 syllables per word - 15.59."""
    sentences = [part for part in re.split(r"[.!?:;\n]+", text) if re.search(r"[A-Za-z]", part)]
    words = re.findall(r"[A-Za-z’'-]+|\d[\d.,]*", text)
    n_syllables = sum(count_syllables(word) for word in words)
    return 0.39 * len(words) / len(sentences) + 11.8 * n_syllables / len(words) - 15.59


class OwnWords(HTMLParser):
    """Collects the blocks of text that are neither quoted, nor code, nor drawing."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, bool]] = []
        self.blocks: list[str] = [""]

    def handle_starttag(self, tag, attrs):
        if tag in BLOCKS:
            self.blocks.append("")
        if tag not in VOID:
            muted = tag in SILENT or "data-quoted" in dict(attrs)
            self.open.append((tag, muted))

    def handle_endtag(self, tag):
        if tag in BLOCKS:
            self.blocks.append("")
        if tag not in VOID:
            assert self.open.pop()[0] == tag, tag

    def handle_data(self, data):
        if not any(muted for _, muted in self.open):
            self.blocks[-1] += data


def own_blocks(page: str) -> list[str]:
    """The page's own texts, block by block, without what it quotes."""
    parser = OwnWords()
    parser.feed(page)
    parser.close()
    assert not parser.open, parser.open
    return [" ".join(block.split()) for block in parser.blocks if block.strip()]
