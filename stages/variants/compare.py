"""Variants from DVC side by side, ranked, paired, and corrected for choosing."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from stages.errors import InputError
from stages.files.io import read_jsonl, write_text
from stages.files.pairs import SplitPair, split_sha256
from stages.inference.mmlu.questions import MmluAnswer
from stages.logprobs.margins import MarginRow
from stages.measures.paired import PairedDifference
from stages.pages.html import Link, link_pages, render_page
from stages.pages.terminal import open_console
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import waiting
from stages.variants.as_variant import as_variant
from stages.variants.comparison import (
    CANDIDATE_NOTE,
    CAPTION,
    HEADER,
    Choice,
    Comparison,
    Pairing,
    candidate_rows,
    choice_lines,
    headline,
    missing_line,
    pairing_lines,
    params_rows,
    print_comparison,
    synthetic_line,
    table_rows,
)
from stages.variants.experiments import (
    HOLDOUT,
    MARGINS,
    Experiment,
    list_experiments,
    list_past_looks,
    resolve_revision,
)
from stages.variants.paired import NotComparable, compare_answers, compare_margins
from stages.variants.pareto_plot import plot_pareto
from stages.variants.variants import (
    Candidate,
    Variant,
    differing_params,
    flatten_params,
    interval_after_choosing,
    rank_candidates,
)

if TYPE_CHECKING:
    from stages.variants.curve_page import Panel

ANSWERS = paths.mmlu_answers("policy").as_posix()
N_PAIRED_UNASKED = 2  # the best two; reading the answers of a hundred variants takes too long
NOT_AT_HAND = NotComparable("The rows of one of them are not in the cache; `dvc pull` or `dvc repro` them.")


def compare_variants(revs: Sequence[str], page: Path | None) -> None:
    """Print the comparison of `revs`, or of all variants, and write it as a page, too."""
    with waiting("comparing"):
        everything = list_experiments()
        chosen = choose_experiments(everything, revs)
        comparison = make_comparison(
            everything,
            chosen,
            tolerance=load_params().watch.margin_tolerance,
            n_paired=len(chosen) if revs else N_PAIRED_UNASKED,
        )
    print_comparison(comparison, open_console())
    if page is not None:
        from stages.variants.curve import FoundCurve, find_curve  # loads what the terminal does not show
        from stages.variants.curve_page import make_panel

        curve = find_curve(everything, tolerance=load_params().watch.margin_tolerance)
        panel = make_panel(curve) if isinstance(curve, FoundCurve) else None
        write_text(page, render_comparison(comparison, links=link_pages(page), curve=panel))
        print(f"\nWritten: {page}")


def choose_experiments(everything: Sequence[Experiment], revs: Sequence[str]) -> list[Experiment]:
    """The experiments that `revs` name, or all that have scored anything; InputError names what is gone."""
    if not revs:
        scored = [one for one in everything if one.look]
        if not scored:
            raise InputError("compare: no experiment has scored the held-out pairs; run `dvc exp run` first")
        return without_repeats(scored)
    found, missing = [], []
    for rev in revs:
        commit = None if any(one.name == rev for one in everything) else resolve_revision(rev)
        match = next((one for one in everything if one.name == rev or one.rev == commit), None)
        if match:
            found.append(match)
        else:
            missing.append(rev)
    if missing:
        known = ", ".join(one.name for one in everything)
        raise InputError(
            f"compare: no such variant: {', '.join(missing)}; it may have been removed. Known: {known}"
        )
    return found


def without_repeats(experiments: Sequence[Experiment]) -> list[Experiment]:
    """One of each: the workspace and a commit often are the experiment that was applied last."""
    kept: dict[tuple[str, str], Experiment] = {}
    for one in sorted(experiments, key=lambda one: one.name == "workspace"):
        kept.setdefault((one.hashes[MARGINS], str(flatten_params(one.params))), one)
    return list(kept.values())


def make_comparison(
    everything: Sequence[Experiment], chosen: Sequence[Experiment], *, tolerance: float, n_paired: int
) -> Comparison:
    """Everything that is told of the chosen experiments; looks are counted over all there are.

    The first of the rank is paired with the next ones, `n_paired` variants in all.
    """
    by_name = {one.name: one for one in chosen}
    candidates = rank_candidates(as_variant(one) for one in chosen)
    first, *others = (by_name[one.name] for one in best_runs_first(candidates)[:n_paired])
    n_looks = count_all_looks(everything, first)
    return Comparison(
        candidates=candidates,
        n_looks=n_looks,
        choice=describe_choice(first, n_looks=n_looks, tolerance=tolerance),
        pairings=[pair_up(first, one, tolerance=tolerance) for one in others],
    )


def best_runs_first(candidates: Sequence[Candidate]) -> list[Variant]:
    """The best run of each candidate in their rank, then all the others: two seeds of one say the least."""
    others = [run for one in candidates for run in one.runs[1:]]
    return [*(one.runs[0] for one in candidates), *others]


def count_all_looks(everything: Sequence[Experiment], chosen: Experiment) -> int:
    """Scorings of the pairs that `chosen` was scored on, those of removed experiments included.

    Scores of other held-out pairs, as of a rehearsal before the real data came, are no looks at these.
    """
    holdout = chosen.look.holdout if chosen.look else chosen.hashes.get(HOLDOUT)
    looks = [one.look for one in everything if one.look] + list_past_looks()
    same = {md5 for md5 in {look.holdout for look in looks} if has_same_pairs(md5, holdout, everything)}
    return len({look.margins for look in looks if look.holdout in same})


def has_same_pairs(first: str | None, second: str | None, everything: Sequence[Experiment]) -> bool:
    """Are two versions of data/split/holdout.jsonl the same pairs? Another round may join others to them."""
    if first == second or first is None or second is None:
        return first == second
    files = {one.hashes[HOLDOUT]: one.outs[HOLDOUT] for one in everything if HOLDOUT in one.outs}
    return first in files and second in files and name_split(files[first]) == name_split(files[second])


@cache
def name_split(holdout: Path) -> str:
    """The hash of the held-out pairs' ids and texts."""
    return split_sha256(read_jsonl(holdout, SplitPair))


def describe_choice(experiment: Experiment, *, n_looks: int, tolerance: float) -> Choice | None:
    """The held-out accuracy of the variant that ranks first; None where no margin of it is cached."""
    cached = read_jsonl(experiment.outs[MARGINS], MarginRow) if MARGINS in experiment.outs else []
    rows = [row for row in cached if row.part == "holdout"]
    if not rows:
        return None
    wins = [float(row.margin > tolerance) for row in rows]
    clusters = [row.component_id for row in rows]
    return Choice(
        name=experiment.name,
        n_looks=n_looks,
        k=int(sum(wins)),
        n=len(wins),
        plain=interval_after_choosing(wins, clusters, n_looks=1),
        corrected=interval_after_choosing(wins, clusters, n_looks=n_looks),
    )


def pair_up(first: Experiment, second: Experiment, *, tolerance: float) -> Pairing:
    """The paired differences, where the rows of both are in the cache."""
    both = [first.outs, second.outs]
    selection: PairedDifference | NotComparable = NOT_AT_HAND
    accuracy: PairedDifference | NotComparable = NOT_AT_HAND
    if all(MARGINS in outs for outs in both):
        margins = [read_jsonl(outs[MARGINS], MarginRow) for outs in both]
        selection = compare_margins(*margins, part="selection", tolerance=tolerance)
        accuracy = compare_margins(*margins, tolerance=tolerance)
    knowledge: PairedDifference | NotComparable = NOT_AT_HAND
    if all(ANSWERS in outs for outs in both):
        answers = [read_jsonl(outs[ANSWERS], MmluAnswer) for outs in both]
        knowledge = compare_answers(answers[0], answers[1])
    return Pairing(first.name, second.name, selection, accuracy, knowledge)


def render_comparison(
    comparison: Comparison, *, links: Sequence[Link] = (), curve: "Panel | None" = None
) -> str:
    """The comparison as one self-contained page, with the learning curve where there is one."""
    return render_page(
        "variants/compare.html.j2",
        links=links,
        headline=headline(comparison),
        synthetic=synthetic_line(comparison.variants),
        candidates=candidate_rows(comparison.candidates),
        candidate_note=CANDIDATE_NOTE,
        header=HEADER,
        caption=CAPTION,
        rows=table_rows(comparison.candidates),
        missing=missing_line(comparison.variants),
        params=params_rows(comparison.variants),
        differs=bool(differing_params(comparison.variants)),
        choice=choice_lines(comparison),
        pairings=[pairing_lines(pairing) for pairing in comparison.pairings],
        plots=[*plot_pareto(comparison.variants), *([curve.plot] if curve else [])],
        curve=curve,
    )
