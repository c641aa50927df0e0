"""What came of a re-judging: agreement with the record, what was overturned, and the votes themselves."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from stages.data.pair_rules import spelling_key
from stages.files.numbers import percent
from stages.files.pairs import PreferencePair, Vote
from stages.labelling.rejudging import RejudgedPair
from stages.measures.agreement import MIN_COMPONENTS
from stages.measures.ceiling import count_votes, tell_ceiling
from stages.measures.intervals import clustered_wilson
from stages.study.unblind import Judgement

VOTES: dict[str, Vote] = {"win": "chosen", "loss": "rejected", "tie": "tie"}


class NewVote(NamedTuple):
    """One editor's new vote on a pair; `chosen` is the side that is recorded as preferred."""

    pair: RejudgedPair
    editor: str
    vote: Vote


class Comparison(NamedTuple):
    """A new vote beside a recorded one."""

    pair: RejudgedPair
    is_same: bool
    is_decided: bool


def read_votes(judgements: Sequence[Judgement], pairs: Mapping[str, RejudgedPair]) -> list[NewVote]:
    """The judgements as votes; `pairs` by the items' ids."""
    return [NewVote(pairs[one.item_id], one.editor, VOTES[one.outcome]) for one in judgements]


def describe_outcome(votes: Sequence[NewVote], eligible: Sequence[PreferencePair]) -> dict[str, Any]:
    """All of result.json; the ceiling is that of the labels of `eligible`, all pairs that could be drawn."""
    controls = [vote for vote in votes if vote.pair.is_control]
    others, same = list(_compare(controls, by_same=False)), list(_compare(controls, by_same=True))
    unknown = {vote.pair.pair_id for vote in controls if not vote.pair.editors_votes}
    agreement: dict[str, Any] = {"n_items": len({one.pair.pair_id for one in others}), **_share(others)}
    decided = _share([one for one in others if one.is_decided])
    agreement |= {f"decided_{name}": value for name, value in decided.items() if name != "n_comparisons"}
    return {
        "n_suspects": len({vote.pair.pair_id for vote in votes if vote.pair.is_suspect}),
        "n_controls": len({vote.pair.pair_id for vote in controls}),
        "agreement": agreement,
        "consistency": _share(same),
        "n_controls_of_unknown_editors": len(unknown),
        "overturned_suspects": _overturned([vote for vote in votes if vote.pair.is_suspect]),
        "overturned_controls": _overturned(controls),
        "ceiling": tell_ceiling(agreement, count_votes(eligible)),
    }


def _compare(votes: Sequence[NewVote], *, by_same: bool) -> Iterator[Comparison]:
    """Each new vote beside the recorded ones of the same editor, or of others."""
    for pair, editor, vote in votes:
        for recorded_by, recorded in pair.editors_votes.items():
            if (spelling_key(recorded_by) == spelling_key(editor)) == by_same:
                yield Comparison(pair, vote == recorded, "tie" not in (vote, recorded))


def _share(compared: Sequence[Comparison]) -> dict[str, float | int]:
    return {
        "n_comparisons": len(compared),
        **_mean([one.is_same for one in compared], [one.pair for one in compared]),
    }


def _overturned(votes: Sequence[NewVote]) -> dict[str, float | int]:
    """Pairs of which more of the new votes are against the recorded label than for it."""
    counts: dict[str, Counter[Vote]] = defaultdict(Counter)
    of_id = {vote.pair.pair_id: vote.pair for vote in votes}
    for pair, _, vote in votes:
        counts[pair.pair_id][vote] += 1
    pairs = [of_id[name] for name in sorted(counts)]
    flags = [counts[pair.pair_id]["rejected"] > counts[pair.pair_id]["chosen"] for pair in pairs]
    return {"n": len(pairs), "n_overturned": sum(flags), **_mean(flags, pairs)}


def _mean(flags: Sequence[bool], pairs: Sequence[RejudgedPair]) -> dict[str, float]:
    """The share with its interval by component; nothing of nothing, and no interval of too few."""
    if not flags:
        return {}
    clusters = [pair.component_id for pair in pairs]
    found = {"share": float(np.mean(flags))}
    if len(set(clusters)) >= MIN_COMPONENTS and (interval := clustered_wilson(flags, clusters)):
        found |= {"low": interval.low, "high": interval.high}
    return found


def vote_rows(votes: Sequence[NewVote]) -> list[dict[str, Any]]:
    """The recorded votes and the new ones of every pair, in the editors' form with their source."""
    rows = []
    for pair in {vote.pair.pair_id: vote.pair for vote in votes}.values():
        first: list[tuple[str | None, Vote]] = [*pair.editors_votes.items()] or [(None, "chosen")]
        rows += [_row(pair, editor, vote, "first") for editor, vote in first]
        source: Literal["control", "suspect"] = "control" if pair.is_control else "suspect"
        rows += [
            _row(pair, one.editor, one.vote, source) for one in votes if one.pair.pair_id == pair.pair_id
        ]
    return rows


def _row(pair: RejudgedPair, editor: str | None, vote: Vote, source: str) -> dict[str, Any]:
    return {
        "pair_id": pair.pair_id, "prompt": pair.prompt,
        "paragraph_a": pair.chosen, "paragraph_b": pair.rejected,
        "preferred": {"chosen": "a", "rejected": "b", "tie": "tie"}[vote], "editor": editor,
        "group_id": pair.group_id, "section": pair.section, "synthetic": pair.synthetic, "source": source,
    }  # fmt: skip


def outcome_lines(result: Mapping[str, Any]) -> list[str]:
    """The same for a person."""
    agreement, consistency, ceiling = result["agreement"], result["consistency"], result["ceiling"]
    lines = [
        f"{result['n_suspects']} doubtful pairs and {result['n_controls']} drawn at random were judged again"
    ]
    if agreement["n_comparisons"]:
        lines.append(f"other editors agree with the record: {_say(agreement)} votes on pairs drawn at random")
    else:
        lines.append(
            "no other editor than the recorded one judged a pair drawn at random, so there is no agreement"
        )
    if consistency["n_comparisons"]:
        lines.append(
            f"editors agree with themselves: {_say(consistency)} votes, which says nothing of agreement"
        )
    if n := result["n_controls_of_unknown_editors"]:
        lines.append(f"of {n} pairs drawn at random the recorded editor is unknown: they count for neither")
    for name, what in (("suspects", "doubtful pairs"), ("controls", "pairs drawn at random")):
        found = result[f"overturned_{name}"]
        lines.append(f"overturned: {found['n_overturned']} of {found['n']} {what}{_range(found)}")
    if ceiling["status"] == "known":
        lines.append(
            f"even a perfect reader could agree with {percent(ceiling['lowest'], places=0)} to "
            f"{percent(ceiling['highest'], places=0)} of these labels"
        )
    else:
        lines.append(f"how far a perfect reader could agree is unknown: {ceiling['reason']}")
    return lines


def _say(found: Mapping[str, Any]) -> str:
    return f"{percent(found['share'])}{_range(found)} of {found['n_comparisons']}"


def _range(found: Mapping[str, Any]) -> str:
    return (
        f" ({percent(found['low'])} to {percent(found['high'])})"
        if "low" in found
        else " (too few for a range)"
    )
