"""Where each stage writes: the path says who made the file. Relative to the repository's top."""

from pathlib import Path

DATA = Path("data")
METRICS = Path("metrics")

BASE_MODEL = Path("models/base")
POLICY_MODEL = Path("models/policy")

VALIDATED_PAIRS = DATA / "validate/pairs.jsonl"
VALIDATED_PROMPTS = DATA / "validate/prompts.jsonl"
VIOLATIONS = DATA / "validate/violations.jsonl"
DATA_REPORT = DATA / "validate/report.html"
VALIDATE_METRICS = METRICS / "validate.json"

TRAIN_PAIRS = DATA / "split/train.jsonl"
SELECTION_PAIRS = DATA / "split/selection.jsonl"
HOLDOUT_PAIRS = DATA / "split/holdout.jsonl"
SPLIT_REPORT = DATA / "split/report.html"
SPLIT_METRICS = METRICS / "split.json"
CURVE = DATA / "curve/curve.json"  # in git, written by `bluepencil curve --keep`
KEPT = DATA / "kept"  # earlier splits and further votes, in git

DOUBT = DATA / "labels/doubt.jsonl"
LABELS_REPORT = DATA / "labels/report.html"
LABELS_METRICS = METRICS / "labels.json"

QUESTIONS = DATA / "questions/items.jsonl"
EXAMPLES = DATA / "questions/examples.jsonl"
REFERENCE_LOGPS = DATA / "reference/logps.parquet"
TRAIN_LOG = DATA / "train/log.csv"
MARGINS = DATA / "holdout/margins.jsonl"
ACCURACY_METRICS = METRICS / "accuracy.json"
ACCURACY_PLOTS = DATA / "accuracy"

STUDY = Path("study")
BALLOTS = DATA / "ballots"
BLIND_ITEMS = DATA / "blind/items.jsonl"
WINRATE_METRICS = METRICS / "winrate.json"
WINRATE_PLOTS = DATA / "winrate"

CAPABILITY_METRICS = METRICS / "capability.json"
CAPABILITY_PLOTS = DATA / "capability"

PROBE_METRICS = METRICS / "probe.json"
PROBE_TABLES = DATA / "probe_summary"

WRITING_METRICS = METRICS / "writing.json"
WRITING_TABLES = DATA / "writing"

GATE_METRICS = METRICS / "gate.json"
FOUNDER_PAGE = Path("reports/founder.html")
MODEL_CARD = Path("reports/model_card.md")

EVIDENCE = {  # what a verdict rests on
    "validate": VALIDATE_METRICS,
    "split": SPLIT_METRICS,
    "accuracy": ACCURACY_METRICS,
    "winrate": WINRATE_METRICS,
    "capability": CAPABILITY_METRICS,
}


def generations(model: str) -> Path:
    """Completions of `base` or `policy` to the fresh prompts."""
    return DATA / f"generate/{model}.jsonl"


def mmlu_answers(model: str) -> Path:
    """Answers of `base` or `policy` to the MMLU questions, one row a question."""
    return DATA / f"mmlu/{model}.jsonl"


def probe_rows(model: str) -> Path:
    """What `base` or `policy` did with the probe's texts and prompts."""
    return DATA / f"probe/{model}.jsonl"
