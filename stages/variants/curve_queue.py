"""The runs of a learning curve, queued as DVC experiments that end at the selection accuracy."""

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field

from stages.decision.evidence import Evidence, Problem, require_evidence
from stages.errors import InputError
from stages.files.io import read_json
from stages.run import paths
from stages.run.params import at_most, load_params
from stages.run.progress import say
from stages.variants.curve import PART, default_sizes
from stages.variants.variants import SEED

TARGET = "accuracy"  # no completions, no questions, no study


class TrainPart(Evidence):
    """Of `split` in metrics/split.json: the pairs there are to train on."""

    n_train: Annotated[int, Field(ge=1)]


class CurveRun(NamedTuple):
    """One run: `n_pairs` of the pairs, one seed."""

    n_pairs: int
    seed: int

    @property
    def name(self) -> str:
        """The experiment's."""
        return f"curve-{self.n_pairs}-seed-{self.seed}"

    @property
    def arguments(self) -> list[str]:
        """Of `dvc`. No held-out pair is scored, so it is no look; `reference` is one for all of them."""
        changes = {PART: self.n_pairs, SEED: self.seed, "size.n_holdout_scored": 0}
        settings = [word for key, value in changes.items() for word in ("-S", f"{key}={value}")]
        return ["exp", "run", "--queue", "--name", self.name, *settings, TARGET]


def queue_curve(sizes: Sequence[int], *, n_seeds: int, call: Callable[[list[str]], int]) -> None:
    """Queue a run for each size and seed; InputError for a size that the split does not have."""
    params = load_params()
    split = require_evidence(read_json(paths.SPLIT_METRICS), "split", TrainPart)
    if isinstance(split, Problem):
        raise InputError(f"{paths.SPLIT_METRICS}: {split.sentence} Write it again: `dvc repro split`")
    n = at_most(params.size.n_train, split.n_train)
    if at_most(params.size.n_selection_scored, params.split.n_selection) < params.split.n_selection:
        say(f"only {params.size.n_selection_scored} selection pairs are scored; `all` in "
            "size.n_selection_scored tells more")  # fmt: skip
    wanted = sorted(set(sizes)) or default_sizes(n)
    if wrong := [size for size in wanted if not 1 <= size <= n]:
        raise InputError(f"--size {wrong[0]}: size.n_train has {n} pairs to train on; name 1 to {n}")
    runs = [CurveRun(size, params.train.seed + number) for size in wanted for number in range(n_seeds)]
    for run in runs:
        if code := call(run.arguments):
            raise InputError(f"{run.name}: DVC did not queue it (exit code {code}); see its message above")
    say(f"queued {len(runs)} runs; next: `bluepencil exp run --run-all`, then `bluepencil curve`")
