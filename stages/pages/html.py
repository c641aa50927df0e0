"""Pages from Jinja templates: every value escaped, an unknown name is an error."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

TEMPLATES = Path(__file__).parent.parent  # a template lies in the room of the code that fills it
MARKDOWN_SIGNS = {"`": "&#96;", "[": "&#91;", "]": "&#93;", "|": "&#124;", "\r": " ", "\n": " "}


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
    return environment.get_template(template).render(**values)


def _plain_in_markdown(value: Any) -> Any:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = str(escape(value))
    for sign, entity in MARKDOWN_SIGNS.items():
        text = text.replace(sign, entity)
    return Markup(text)  # noqa: S704  escaped above
