"""The metrics and the one-line summary of a validation."""

from collections.abc import Sequence
from typing import Any

from stages.core.data_verdict import RuleResult, find_broken
from stages.core.prompt_checks import CheckedPrompts
from stages.core.validation import CheckedPairs


def describe_validation(
    pairs: CheckedPairs, prompts: CheckedPrompts, results: Sequence[RuleResult]
) -> dict[str, Any]:
    """The numbers of metrics/validate.json; what was not measured is left out."""
    n_kept = int(pairs.rows.kept.sum())
    broken = find_broken(results)
    return {
        "n_rows": pairs.rows.n_rows,
        "n_kept": n_kept,
        "n_set_aside": pairs.rows.n_rows - n_kept,
        "n_prompts": len(prompts.prompts),
        "ok": not broken,
        "broken": ", ".join(broken) or "none",
        "is_synthetic": pairs.n_kept_synthetic > 0 or any(prompt.synthetic for prompt in prompts.prompts),
        "rules": {result.rule: result.n_violations for result in results},
        "audit": {name: round(value, 6) for name, value in pairs.audit.numbers.items()} | pairs.audit.days,
    }


def summarise(metrics: dict[str, Any]) -> str:
    """One line for the person watching."""
    verdict = (
        "fit to learn from" if metrics["ok"] else f"unfit: {metrics['broken']} broken more often than allowed"
    )
    return (
        f"{metrics['n_rows']} rows, {metrics['n_kept']} kept, {metrics['n_set_aside']} set aside, "
        f"{metrics['n_prompts']} prompts: {verdict}"
    )
