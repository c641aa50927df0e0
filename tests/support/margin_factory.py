"""Margin rows with defaults."""

from typing import Any

from stages.logprobs.margins import MarginRow


def make_row(pair_id: str = "p1", margin: float = 0.5, **changes: Any) -> MarginRow:
    values: dict[str, Any] = {
        "pair_id": pair_id,
        "part": "holdout",
        "margin": margin,
        "chosen_logp": -90.0,
        "rejected_logp": -110.0,
        "ref_chosen_logp": -100.0,
        "ref_rejected_logp": -101.0,
        "n_chosen_tokens": 50,
        "n_rejected_tokens": 40,
        "n_chosen_chars": 200,
        "n_rejected_chars": 150,
        "editor": "e1",
        "section": "need",
        "component_id": pair_id,
        "synthetic": False,
        "split_sha256": "5" * 64,
        "render_sha256": "6" * 64,
    }
    return MarginRow(**(values | changes))
