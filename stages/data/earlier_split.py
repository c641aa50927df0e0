"""An earlier split: what it held out stays held out, what was trained on is never held out.

docs/decisions/0014-nobodys-holdout-is-drawn-anew.md says where it is read from and why.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel

from stages.data.components import item_key
from stages.data.forms.row_file import RowFile
from stages.data.splitting import NO_EARLIER, Earlier, Parts
from stages.data.texts import normalise, text_key
from stages.errors import InputError
from stages.files.io import read_jsonl, read_text
from stages.files.pairs import PreferencePair, split_sha256
from stages.files.record import Record
from stages.repository.dvc import cache_folder, read_yaml
from stages.repository.git import file_at
from stages.run import paths

Part = Literal["train", "selection", "holdout"]
FILES: dict[Part, Path] = {
    "train": paths.TRAIN_PAIRS,
    "selection": paths.SELECTION_PAIRS,
    "holdout": paths.HOLDOUT_PAIRS,
}
WAY_OUT_OF_KEPT = "restore it from git, or run `bluepencil data keep` and name its file"
N_NAME = 12  # hex digits of split_sha256 that name a split to people


class EarlierRow(Record):
    """One pair of an earlier split, a line of the file that `split.keep` names; `item` is an `item_key`."""

    pair_id: str
    item: str
    part: Part


class LastSplit(NamedTuple):
    """The split that `dvc.lock` tells of; without rows where the DVC cache lacks its files."""

    name: str
    rows: list[EarlierRow] | None


class _Pair(BaseModel):
    """What is read of a pair that an earlier version may have written."""

    pair_id: str
    prompt: str
    chosen: str
    rejected: str

    def as_pair(self) -> PreferencePair:
        """With what is not known left open."""
        rest = dict.fromkeys(("editor", "group_id", "section", "reviewed_at", "chosen_shown"))
        return PreferencePair(**{**rest, **dict(self), "synthetic": False})


def read_kept(path: Path | None) -> list[EarlierRow]:
    """The file that `split.keep` names.

    InputError where it lies outside of the folder DVC watches, or is no whole split.
    """
    if path is None:
        return []
    if path.parent != paths.KEPT:
        raise InputError(
            f"split.keep: {path} lies outside of {paths.KEPT}/, which the split depends on; move it"
        )
    rows = read_jsonl(path, EarlierRow)
    parts = defaultdict[str, set[Part]](set)
    for row in rows:
        parts[row.item].add(row.part)
    if twice := [row.pair_id for row in rows if len(parts[row.item]) > 1]:
        raise InputError(
            f"split.keep: {path} has the same pair in two parts (such as {twice[0]}), so nobody can say "
            f"where it was; {WAY_OUT_OF_KEPT}"
        )
    if not any(row.part == "holdout" for row in rows):
        came = f"has {len(rows)} pairs and none that is held out" if rows else "is empty"
        raise InputError(f"split.keep: {path} {came}, so it is no whole split; {WAY_OUT_OF_KEPT}")
    return rows


def describe_kept(rows: Sequence[EarlierRow], item_keys: Sequence[str], pair_ids: Sequence[str]) -> str:
    """How much of the kept split is here; InputError where nothing is: it is another project's."""
    here, ids = set(item_keys), set(pair_ids)
    by_text = [row for row in rows if row.item in here]
    by_id = [row for row in rows if row.item not in here and row.pair_id in ids]
    found = [*by_text, *by_id]
    if not found:
        raise InputError(
            f"split.keep: none of its {len(rows)} pairs is here: it is a split of other data. Name the right "
            "file, or set `split.keep: null`"
        )
    n_kept, n_here = (sum(row.part == "holdout" for row in some) for some in (rows, found))
    edited = f", {len(by_id)} of them by their id alone" if by_id else ""
    known = {row.item for row in rows} | {row.pair_id for row in rows}
    n_new = sum(known.isdisjoint(pair) for pair in zip(item_keys, pair_ids, strict=True))
    return (
        f"split.keep: {len(found)} of {len(rows)} kept pairs found{edited}; {n_here} of {n_kept} that were "
        f"held out; {n_new} pairs are new"
    )


def match_earlier(rows: Sequence[EarlierRow], item_keys: Sequence[str], pair_ids: Sequence[str]) -> Earlier:
    """The places of today's pairs that stood in an earlier split.

    By what they say; by the id where the earlier text is gone, so that an edited pair stays where it was.
    """
    if not rows:
        return NO_EARLIER
    part_of_item = {row.item: row.part for row in rows}
    here = set(item_keys)
    part_of_id = {row.pair_id: row.part for row in rows if row.item not in here}
    held_out, trained = set[int](), set[int]()
    for place, (item, pair_id) in enumerate(zip(item_keys, pair_ids, strict=True)):
        part = part_of_item.get(item) or part_of_id.get(pair_id)
        if part is not None:
            (held_out if part == "holdout" else trained).add(place)
    return Earlier(frozenset(held_out), frozenset(trained))


def read_last_split() -> LastSplit | None:
    """What the workspace's `dvc.lock` tells of the last split; None where there was none.

    DVC has removed its files when the stage runs, so they are read from the cache. Where they are not
    there, the commit that is checked out names the split in metrics/split.json.
    """
    locked = _locked_files()
    cache = cache_folder() if locked else None
    if not locked or cache is None:
        return None
    files = {part: cache / "files" / "md5" / md5[:2] / md5[2:] for part, md5 in locked.items()}
    if set(files) == set(FILES) and all(file.is_file() for file in files.values()):
        name = split_sha256(map(_Pair.as_pair, RowFile(files["holdout"], _Pair)))[:N_NAME]
        return LastSplit(name, list(describe_rows(files)))
    committed = file_at("HEAD", str(paths.SPLIT_METRICS))
    try:
        sha256 = read_yaml((committed or b"").decode(), str(paths.SPLIT_METRICS))
        return LastSplit(str(sha256["split"]["split_sha256"])[:N_NAME], None)
    except (KeyError, TypeError) as error:
        raise InputError(
            "dvc.lock tells of a split whose files are not in the DVC cache, so nobody can say whether the "
            "held-out pairs would change; run `dvc pull` (or `dvc checkout`), then again"
        ) from error


def describe_rows(files: dict[Part, Path]) -> Iterator[EarlierRow]:
    """Every pair of a split's files."""
    for part, file in files.items():
        for pair in RowFile(file, _Pair):
            keys = (text_key(normalise(text)) for text in (pair.prompt, pair.chosen, pair.rejected))
            yield EarlierRow(pair_id=pair.pair_id, item=item_key(*keys), part=part)


def _locked_files() -> dict[Part, str]:
    """MD5 of each file of the split, as `dvc.lock` has it."""
    lock = Path("dvc.lock")
    if not lock.is_file():
        return {}
    try:
        outs = read_yaml(read_text(lock), str(lock))["stages"]["split"]["outs"]
        md5s = {out["path"]: out["md5"] for out in outs if "md5" in out}
    except (KeyError, TypeError):
        return {}
    return {part: md5s[str(path)] for part, path in FILES.items() if str(path) in md5s}


def refuse_redraw(
    last: LastSplit | None,
    parts: Parts,
    item_keys: Sequence[str],
    pair_ids: Sequence[str],
    *,
    name: str,
    replaces: str | None,
) -> None:
    """InputError where held-out pairs would be trained on, or the reverse; `name` is the new split's.

    `replaces` is `split.replaces`: the name of the split that somebody decided to give up.
    """
    if last is None or last.name in (name, replaces):
        return
    what = "cannot be compared pair by pair, since their files are not in the DVC cache"
    if last.rows is not None:
        earlier = match_earlier(last.rows, item_keys, pair_ids)
        lost = sorted(earlier.held_out - set(parts.holdout))
        caught = sorted(earlier.trained & set(parts.holdout))
        if not lost and not caught:
            return
        shown = ", ".join(pair_ids[place] for place in [*caught[:2], *lost[:2]])
        what = (
            f"{len(lost)} of {len(earlier.held_out)} that are held out would no longer be, and "
            f"{len(caught)} that were trained on would be (such as {shown})"
        )
    raise InputError(
        f"{paths.HOLDOUT_PAIRS}: the held-out pairs would change: {what}. Models trained so far have seen "
        "pairs of the new holdout. Either keep the earlier split: run `bluepencil data keep`, which says "
        "what to set; or draw anew, and train again every model that is still compared: set "
        f"`split.replaces: {last.name}` in params.yaml"
    )
