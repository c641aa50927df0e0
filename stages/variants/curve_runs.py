"""The runs of a learning curve: DVC experiments that end at the selection accuracy, run here or queued."""

from collections.abc import Callable, Container, Sequence
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

    def arguments(self, *, is_queued: bool) -> list[str]:
        """Of `dvc`. No held-out pair is scored, so it is no look; `reference` is one for all of them."""
        changes = {PART: self.n_pairs, SEED: self.seed, "size.n_holdout_scored": 0}
        settings = [word for key, value in changes.items() for word in ("-S", f"{key}={value}")]
        where = "--queue" if is_queued else "--temp"
        return ["exp", "run", where, "--name", self.name, *settings, TARGET]


def make_curve(
    sizes: Sequence[int],
    *,
    n_seeds: int,
    is_queued: bool,
    there: Container[str],
    call: Callable[[list[str]], int],
) -> None:
    """Run, or queue, an experiment a size and seed; InputError for a size that the split does not have.

    `there` names the experiments of this commit: one that has the name of a run is that run, and is not made
    again. Run here, one ends before the next begins; DVC's queue has a worker, which may die and leave it.
    """
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
    missing = [run for run in runs if run.name not in there]
    if len(missing) < len(runs):
        say(f"{len(runs) - len(missing)} of {len(runs)} runs are there already")
    for number, run in enumerate(missing, 1):
        if not is_queued:
            say(f"run {number} of {len(missing)}: {run.n_pairs} pairs, seed {run.seed}")
        if code := call(run.arguments(is_queued=is_queued)):
            verb = "queue" if is_queued else "finish"
            raise InputError(
                f"{run.name}: DVC did not {verb} it (exit code {code}); see its message above. What is done "
                "stays: give the same command again"
            )
    if is_queued:
        say(f"queued {len(missing)} runs; next: `dvc queue start`, and once they are done `bluepencil curve`")
