"""The model card's metadata in Hugging Face's format, only with numbers that may be believed."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from stages.decision.verdicts import GateName, StoredGates, StoredVerdict, is_usable


class MetricName(NamedTuple):
    """How a gate's number is called in a card."""

    metric_type: str
    metric: str
    dataset_type: str
    dataset: str


METRICS: dict[GateName, MetricName] = {
    "accuracy": MetricName("accuracy", "Held-out preference accuracy", "editor-pairs", "Held-out pairs"),
    "winrate": MetricName("win_rate", "Blind win rate over the base", "blind-study", "Fresh prompts"),
    "capability": MetricName("accuracy_drop", "MMLU accuracy drop", "cais/mmlu", "MMLU"),
}
HUB_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]*")


def card_metadata(
    *,
    model_name: str,
    language: str,
    base_name: str,
    licence: str,
    is_adapter: bool,
    is_synthetic: bool,
    gates: StoredGates,
) -> dict[str, Any]:
    """The YAML head of the card; a licence that is no hub identifier goes under `license_name`."""
    known = HUB_LICENCE.fullmatch(licence.lower()) is not None
    metadata: dict[str, Any] = {
        "base_model": base_name,
        "language": [language.split("-")[0]],
        "library_name": "peft" if is_adapter else "transformers",
        "license": licence.lower() if known else "other",
        "pipeline_tag": "text-generation",
        "tags": ["dpo", "trl", *(["synthetic-data"] if is_synthetic else [])],
    }
    if not known:
        metadata["license_name"] = licence
    results = [_result(name, verdict) for name, verdict in gates.named().items() if is_usable(verdict)]
    if results:
        metadata["model-index"] = [{"name": model_name, "results": results}]
    return metadata


def front_matter(metadata: Mapping[str, Any]) -> str:
    """One `key: value` line each, the values as JSON, which is YAML too."""
    lines = [
        f"{key}: {json.dumps(metadata[key], ensure_ascii=False, allow_nan=False)}" for key in sorted(metadata)
    ]
    return "\n".join(["---", *lines, "---"])


def format_setting(value: object) -> str:
    """A parameter as it stands in a table: a list without brackets, `none` for null and for an empty list."""
    if isinstance(value, list) and value:
        return ", ".join(format_setting(part) for part in value)
    return "none" if value in (None, []) else str(value)


def _result(name: GateName, verdict: StoredVerdict) -> dict[str, Any]:
    metric = METRICS[name]
    title = f"{metric.metric} ({verdict.state})"
    return {
        "task": {"type": "text-generation"},
        "dataset": {"type": metric.dataset_type, "name": metric.dataset},
        "metrics": [{"type": metric.metric_type, "name": title, "value": verdict.value}],
    }
