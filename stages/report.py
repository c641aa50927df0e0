"""Report: one page for the founder, one card for the model.

Reads the metrics, the verdicts, the judgeable items, the plot tables and the base's manifest; writes
reports/founder.html and reports/model_card.md. Decides nothing: it only says it.
"""

from stages.files.io import write_text
from stages.pages.html import link_pages
from stages.reporting.pages import founder_page, model_card, read_findings
from stages.run import paths
from stages.run.shell import run_stage


def main() -> None:
    """Render both files from what the other stages have written."""
    findings = read_findings()

    page = founder_page(findings, links=link_pages(paths.FOUNDER_PAGE))
    card = model_card(findings)

    write_text(paths.FOUNDER_PAGE, page)
    write_text(paths.MODEL_CARD, card)


if __name__ == "__main__":
    run_stage(main)
