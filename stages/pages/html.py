"""Pages from Jinja templates: every value escaped, an unknown name is an error."""

from os.path import relpath
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

TEMPLATES = Path(__file__).parent.parent  # a template lies in the room of the code that fills it
MARKDOWN_SIGNS = {"`": "&#96;", "[": "&#91;", "]": "&#93;", "|": "&#124;", "\r": " ", "\n": " "}

PAGES = {  # of a project, and what each answers
    "reports/founder.html": "Should it be released?",
    "data/validate/report.html": "Are the pairs fit to learn from?",
    "data/split/report.html": "Which pairs are held out?",
    "data/labels/report.html": "Which labels are doubtful?",
    "reports/compare.html": "Which version is ahead? (once versions were compared)",
}


class Link(NamedTuple):
    """Another page of the project, from where this one lies."""

    address: str
    words: str


def link_pages(page: Path) -> list[Link]:
    """The other pages as `page`, a path from the project's top, finds them."""
    return [
        Link(Path(relpath(other, page.parent)).as_posix(), words)
        for other, words in PAGES.items()
        if Path(other) != page
    ]


def render_page(template: str, **values: Any) -> str:
    """Render `stages/<template>`, autoescaped, so that text from data cannot become markup.

    In a Markdown template a text cannot become a link, an image, code, a cell or a line of its own, either.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_plain_in_markdown if ".md." in template else None,
    )
    environment.filters["thousands"] = "{:,}".format  # 14,042
    return environment.get_template(template).render(**values)


def _plain_in_markdown(value: Any) -> Any:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = str(escape(value))
    for sign, entity in MARKDOWN_SIGNS.items():
        text = text.replace(sign, entity)
    return Markup(text)  # noqa: S704  escaped above
