"""Reads the raw pairs and prompts; writes data/validate/{pairs,prompts,violations}.jsonl, the page
data/validate/report.html and metrics/validate.json. Decides which pairs are fit to learn from. Bad
data is a finding, not an error; only an unreadable file, or no pair at all to keep, stops it.
"""

from pathlib import Path

from stages.data.checking import (
    all_violations,
    judge,
    kept_pairs,
    read_settings,
    refuse_nothing_kept,
    render_report,
    validate_pairs,
)
from stages.data.forms.tables import open_prompts
from stages.data.great_expectations import confirm_results, derive_frame
from stages.data.page import describe_validation, summarise
from stages.data.prompt_rules import check_prompts
from stages.files.io import write_json, write_jsonl, write_text
from stages.measures.agreement import find_in_labels
from stages.pages.html import link_pages
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import say
from stages.run.shell import run_stage


def main() -> None:
    """Validate the pairs and the prompts."""
    params = load_params()
    settings = read_settings(params)
    pairs_path, prompts_path = Path(params.data.pairs), Path(params.data.prompts)

    pairs = validate_pairs(
        pairs_path,
        params.data.columns,
        settings,
        params.data.sheet,
        Path(params.data.votes) if params.data.votes else None,
    )
    prompts_table = open_prompts(prompts_path)
    prompts = check_prompts(prompts_table.rows, pairs.checked.entries, settings)
    results = [*pairs.results, *judge(prompts.rows, settings)]
    confirm_results("pairs", derive_frame(pairs.checked), pairs.results, settings)
    confirm_results("prompts", prompts.rows.holds, results[len(pairs.results) :], settings)
    refuse_nothing_kept(pairs, pairs_path)

    labels = find_in_labels(pairs.checked.judged, settings.audit.agreement_above)
    metrics = describe_validation(pairs.checked, prompts, results, labels.numbers)
    write_jsonl(paths.VALIDATED_PAIRS, kept_pairs(pairs_path, pairs))
    write_jsonl(paths.VALIDATED_PROMPTS, prompts.prompts)
    write_jsonl(paths.VIOLATIONS, all_violations(pairs.checked.rows, prompts.rows, settings))
    page = render_report(pairs, prompts, results, metrics, settings, labels, link_pages(paths.DATA_REPORT))
    write_text(paths.DATA_REPORT, page)
    write_json(paths.VALIDATE_METRICS, {"validate": metrics})
    for remark in prompts_table.columns.remarks:
        say(f"validate: {prompts_path}: {remark}")
    say(f"validate: {summarise(metrics)}")


if __name__ == "__main__":
    run_stage(main)
