"""Gate: a verdict per gate and overall.

Reads the five metrics files and the hash of the texts, writes metrics/gate.json. A failed gate is
a result, not an error; `bluepencil gate` is what fails a job. A number that cannot be used makes
its gate invalid. What the probe and `writing` found is a warning beside the verdicts and changes none.
"""

from stages.decision.data_facts import gather_data_facts
from stages.decision.evidence import (
    DataEvidence,
    SplitEvidence,
    parse_accuracy,
    parse_capability,
    parse_winrate,
    require_evidence,
)
from stages.decision.findings import exact_limits
from stages.decision.judge import judge_accuracy, judge_capability, judge_winrate, summarize_gates
from stages.decision.probe_warnings import ProbeLimits, warn
from stages.decision.writing_remark import parse_writing, remark
from stages.files.io import read_json_if_there, sha256_file, write_json
from stages.files.json_text import as_written
from stages.run import paths
from stages.run.params import load_params
from stages.run.shell import run_stage

N_HASH_DIGITS = 12  # also of a study's id, see study/seal.py


def main() -> None:
    """Judge the three gates and write the verdicts with the hashes of what they rest on."""
    params = load_params()
    limits = exact_limits(params.limits)
    documents = {name: read_json_if_there(path) for name, path in paths.EVIDENCE.items()}

    facts = gather_data_facts(
        require_evidence(documents["validate"], "validate", DataEvidence),
        require_evidence(documents["split"], "split", SplitEvidence),
        n_holdout=params.split.n_holdout,
        study_id=present_study_id(),
    )
    accuracy = judge_accuracy(
        parse_accuracy(documents["accuracy"]),
        facts,
        limits=limits.accuracy,
    )
    winrate = judge_winrate(parse_winrate(documents["winrate"]), facts, limits=limits.winrate)
    capability = judge_capability(parse_capability(documents["capability"]), facts, limits=limits.capability)

    there = {name: path for name, path in paths.EVIDENCE.items() if path.is_file()}
    evidence = {name: sha256_file(path)[:N_HASH_DIGITS] for name, path in there.items()}
    gates = summarize_gates(accuracy=accuracy, winrate=winrate, capability=capability)
    probe = params.limits.probe
    probe_limits = ProbeLimits(
        max_perplexity_rise=as_written(probe.max_perplexity_rise),
        max_repetition_rise=as_written(probe.max_repetition_rise),
        max_following_drop=as_written(probe.max_following_drop),
    )
    max_rise = as_written(params.limits.writing.max_unsupported_rise)
    said = [
        warn(read_json_if_there(paths.PROBE_METRICS), probe_limits),
        remark(parse_writing(read_json_if_there(paths.WRITING_METRICS)), max_rise),
    ]
    warnings = (
        {"warnings": " ".join(filter(None, said))} if any(said) else {}
    )  # no empty text: DVC shows what is there
    write_json(paths.GATE_METRICS, {"gate": {**gates, **warnings, "evidence": evidence}})


def present_study_id() -> str | None:
    """The id that a study of the present texts must carry; None where there are no texts."""
    return sha256_file(paths.BLIND_ITEMS)[:N_HASH_DIGITS] if paths.BLIND_ITEMS.is_file() else None


if __name__ == "__main__":
    run_stage(main)
