"""Evidence and metrics files of a run in which everything is real, complete and passes."""

import json
from fractions import Fraction
from pathlib import Path
from statistics import NormalDist
from typing import Any

import yaml
from statsmodels.stats.proportion import proportion_confint

from stages.decision.data_facts import DataFacts
from stages.decision.evidence import AccuracyEvidence, CapabilityEvidence, WinrateEvidence
from stages.decision.findings import DropLimits, Limits, ShareLimits
from stages.decision.judge import summarize_gates, unmeasured
from stages.decision.verdicts import parse_gates
from stages.study.seal import study_id_of
from stages.variants.variants import Selection, Variant

ROOT = Path(__file__).parent.parent.parent
SPLIT = "5" * 64
PRESENT_STUDY = "the study of the present items"  # replaced by its id when the files are written

ACCURACY_LIMITS = ShareLimits(min_share=Fraction(17, 25), chance=Fraction(1, 2))
WINRATE_LIMITS = ShareLimits(min_share=Fraction(3, 5), chance=Fraction(1, 2))
CAPABILITY_LIMITS = DropLimits(Fraction(1, 50), Fraction(1, 100), Fraction(1, 4), 14042)
LIMITS = Limits(ACCURACY_LIMITS, WINRATE_LIMITS, CAPABILITY_LIMITS)


REVIEWED = {"n_day_known": 2500, "reviewed_from": "2025-01-06", "reviewed_to": "2025-11-28"}  # 327 days


def make_facts(**changed: Any) -> DataFacts:
    return DataFacts((), (), False, SPLIT, 300, None)._replace(**changed)


def accuracy_section(k: int = 222, n: int = 300, **changed: Any) -> dict[str, Any]:
    """74 %, Wilson 95 %."""
    low, high = proportion_confint(k, n, method="wilson")
    section = {"k": k, "n": n, "accuracy": k / n, "low": low, "high": high, "longer_wins": 0.55}
    section["n_eff"] = n * 0.9
    return {**section, "n_synthetic": 0, "split_sha256": SPLIT, **changed}


def winrate_section(wins: int = 96, ties: int = 6, losses: int = 48, **changed: Any) -> dict[str, Any]:
    """66 % of 150 judgements."""
    n = wins + ties + losses
    value = (2 * wins + ties) / (2 * n)
    low, high = proportion_confint(value * n, n, method="wilson")
    section = {
        "status": "complete",
        "study_id": PRESENT_STUDY,
        "reason": "All ballots are in.",
        "n_prompts": 50,
    }
    ballots = {"n_ballots_expected": n, "n_ballots_received": n, "n_synthetic": 0}
    counts = {"wins": wins, "ties": ties, "losses": losses, "n": n, "n_star": 90.0, "z": 1.96}
    return {**section, **ballots, **counts, "value": value, "low": low, "high": high, **changed}


def capability_section(worse: int = 500, better: int = 430, n: int = 14042, **changed: Any) -> dict[str, Any]:
    """0.5 points lower; bounds by hand, 1 point to either side (1.2 two-sided)."""
    drop = (worse - better) / n
    counts = {"n": n, "n_discordant_worse": worse, "n_discordant_better": better}
    right = {"n_base_correct": n * 6 // 10, "n_policy_correct": n * 6 // 10 - worse + better}
    shares = {"base_acc": 0.6, "base_acc_low": 0.59, "policy_acc": 0.6 - drop}
    bounds = {"low": drop - 0.01, "high": drop + 0.01, "high_two_sided": drop + 0.012}
    flags = {"at_floor": False, "same_questions": True, "config_sha256": "c" * 64}
    return {"drop": drop, **bounds, **counts, **right, **shares, **flags, **changed}


def make_accuracy(k: int = 222, n: int = 300, **changed: Any) -> AccuracyEvidence:
    return AccuracyEvidence.model_validate(accuracy_section(k, n, **changed))


def make_winrate(wins: int = 96, ties: int = 6, losses: int = 48, **changed: Any) -> WinrateEvidence:
    return WinrateEvidence.model_validate(winrate_section(wins, ties, losses, **changed))


def make_capability(
    worse: int = 500, better: int = 430, n: int = 14042, **changed: Any
) -> CapabilityEvidence:
    return CapabilityEvidence.model_validate(capability_section(worse, better, n, **changed))


def metrics_documents(**changed: dict[str, Any]) -> dict[str, Any]:
    """The five files by name; `changed` replaces the content of a file."""
    return {
        "validate": {"validate": {"ok": True, "is_synthetic": False, "n_rows": 2500, "audit": REVIEWED}},
        "split": {
            "split": {
                "n_train": 2000,
                "n_selection": 200,
                "n_holdout": 300,
                "n_overlaps": 0,
                "split_sha256": SPLIT,
                "is_synthetic": False,
            }
        },
        "accuracy": {"holdout": accuracy_section()},
        "winrate": {"winrate": winrate_section()},
        "capability": {"capability": capability_section()},
        **changed,
    }


def item_row(number: int = 0, **changed: Any) -> dict[str, Any]:
    row = {
        "prompt_id": f"p{number:03d}",
        "prompt": f"Write paragraph {number} on need.",
        "base_completion": f"The lake, task {number}, needs care <now>.",
        "policy_completion": f"Task {number}: we will test the lake each week.",
    }
    return {**row, "identical": False, "tells": [], "synthetic": False, **changed}


def make_variant(
    name: str = "a",
    accuracy: float | None = None,
    drop: float | None = None,
    selection: float | None = None,
    **changed: Any,
) -> Variant:
    gate = unmeasured("pending", "Not run.")
    gates = summarize_gates(
        accuracy=gate._replace(value=accuracy), winrate=gate, capability=gate._replace(value=drop)
    )
    share = None if selection is None else Selection(selection, 0.0, 1.0, 24)
    variant = Variant(name, "f" * 40, {}, parse_gates({"gate": gates}), share, None)
    return variant._replace(**changed)


def make_params() -> dict[str, Any]:
    """The repository's params.yaml, with the values that the page shows fixed for these tests."""
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["project"] = {"product": "Grant writer", "owner": "", "texts": "paragraphs", "language": "en"}
    params["data"]["pairs"] = "data/raw/pairs.jsonl"
    params["split"]["n_holdout"] = 300
    params["size"]["n_train"] = "all"
    params["generate"].update(n_prompts=50, max_new_tokens=256)
    params["study"].update(editors=["ann", "ben", "cem"], n_repeats=10, n_anchors=2)
    params["train"]["method"] = "lora"
    params["limits"] |= {
        "accuracy": {"min_share": 0.68, "chance": 0.5},
        "winrate": {"min_share": 0.6, "chance": 0.5},
        "capability": {"max_drop": 0.02, "confirmed_drop": 0.01, "chance": 0.25, "min_questions": 14042},
    }
    return params


def write_world(folder: Path, documents: dict[str, Any] | None = None, items: Any = None) -> None:
    """Everything that `gate` and `report` read, in `folder`; all pairs are trained on."""
    documents = documents or metrics_documents()
    is_judged = documents["winrate"]["winrate"]["status"] == "complete"
    write(folder / "params.yaml", yaml.safe_dump(make_params()))
    rows = [item_row(number) for number in range(6)] if items is None else items
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write(folder / "data/blind/items.jsonl", lines)
    for name, document in documents.items():
        text = json.dumps(document).replace(PRESENT_STUDY, study_id_of(lines.encode()))
        write(folder / f"metrics/{name}.json", text)
    scores = [f"p{number:03d},{number / 6}" for number in range(6)] if is_judged else []
    write(folder / "data/winrate/prompts.csv", "\n".join(["prompt_id,score", *scores]) + "\n")
    write_plot_tables(folder / "data", is_judged=is_judged)
    manifest = {"source": "package", "name": "HuggingFaceTB/SmolLM2-135M-Instruct", "revision": "0.1.2"}
    more = {"licence": "apache-2.0", "n_parameters": 134515008, "files": {"model.safetensors": "a" * 64}}
    write(folder / "models/base/manifest.json", json.dumps({**manifest, **more}))


def write_plot_tables(data: Path, *, is_judged: bool) -> None:
    """The tables that `accuracy` and `winrate` write; the numbers need not be those of the metrics."""
    slices = [
        ("editor", "ann", 80, 104), ("editor", "ben", 74, 98), ("editor", "cem", 68, 98),
        ("length", "chosen is longer", 110, 140), ("length", "matched", 58, 80), ("length", "rejected is longer", 54, 80),
        ("section", "budget", 50, 75), ("section", "methods", 60, 80), ("section", "need", 62, 75), ("section", "team", 50, 70),
    ]  # fmt: skip
    lines = [
        f"{kind},{name},{k},{n},{k / n},{','.join(map(str, proportion_confint(k, n, method='wilson')))}"
        for kind, name, k, n in slices
    ]
    write(data / "accuracy/slices.csv", "\n".join(["kind,name,k,n,accuracy,low,high", *lines]) + "\n")
    bins = ["0.53,0.55,60", "0.62,0.66,90", "0.74,0.78,80", "0.87,0.85,50", "0.96,0.9,20"]
    write(data / "accuracy/calibration.csv", "\n".join(["predicted,observed,n", *bins]) + "\n")
    margins = [f"h{number},{NormalDist(0.9, 1.4).inv_cdf((number + 0.5) / 300):.6f}" for number in range(300)]
    write(data / "accuracy/margins.csv", "\n".join(["pair_id,margin", *margins]) + "\n")
    shares = [("ann", 0.7), ("ben", 0.62), ("cem", 0.66)] if is_judged else []
    lines = [
        f"{name},{share},{','.join(map(str, proportion_confint(share * 50, 50, method='wilson')))},50,False"
        for name, share in shares
    ]
    write(data / "winrate/editors.csv", "\n".join(["editor,value,low,high,n,rehearsal", *lines]) + "\n")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
