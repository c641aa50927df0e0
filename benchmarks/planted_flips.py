"""`python -m benchmarks.planted_flips`: are wrong labels found among the doubtful?

Turns 5, 10 and 20 % of the sample corpus' labels round, by ten seeds each, and measures how far up they stand
in the ranking of stage `labels`: AUROC, and of the most doubtful tenth the share of flips and how many of all
flips it holds. Writes benchmarks/results/planted_flips.json.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from stages.files.hashing import hex_digest
from stages.files.io import read_jsonl, write_json
from stages.files.pairs import SplitPair
from stages.labelling.doubt import N_FOLDS, difference_features, doubt_differences
from stages.run import paths
from stages.run.progress import track

SHARES = (0.05, 0.1, 0.2)
N_SEEDS = 10
RESULTS = Path("benchmarks/results/planted_flips.json")


class Found(NamedTuple):
    """How well doubt finds flips."""

    auroc: float
    precision: float  # share of flips among the most doubtful tenth
    recall: float  # share of all flips that this tenth holds


def measure(doubt: NDArray[np.float64], flipped: NDArray[np.bool_]) -> Found:
    """AUROC by ranks, and the most doubtful tenth."""
    n, n_flipped = len(doubt), int(flipped.sum())
    u = rankdata(doubt)[flipped].sum() - n_flipped * (n_flipped + 1) / 2
    tenth = np.argsort(-doubt, kind="stable")[: n // 10]
    hits = int(flipped[tenth].sum())
    return Found(u / (n_flipped * (n - n_flipped)), hits / len(tenth), hits / n_flipped)


def flip(n: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Which labels are turned round."""
    flipped = np.zeros(n, dtype=bool)
    flipped[np.random.default_rng(seed).choice(n, round(share * n), replace=False)] = True
    return flipped


def main() -> None:
    """Flip, doubt, measure."""
    pairs = read_jsonl(paths.TRAIN_PAIRS, SplitPair) + read_jsonl(paths.SELECTION_PAIRS, SplitPair)
    folds = np.array([int(hex_digest("", "fold", pair.component_id)[:8], 16) % N_FOLDS for pair in pairs])
    means: dict[str, Found] = {}
    with threadpool_limits(1):
        differences = difference_features(pairs)
        for share in SHARES:
            found = []
            for seed in track(range(N_SEEDS), total=N_SEEDS, label=f"{share:.0%} flipped", unit="seeds"):
                flipped = flip(len(pairs), share, seed)
                turned = sparse.csr_array(sparse.diags_array(np.where(flipped, -1.0, 1.0)) @ differences)
                found.append(measure(doubt_differences(turned, folds).doubt, flipped))
            mean = means[f"{share:.0%}"] = Found(*np.mean(found, axis=0).round(4).tolist())
            print(
                f"{share:.0%} flipped: AUROC {mean.auroc:.3f}, of the top tenth {mean.precision:.1%} are, "
                f"which is {mean.recall:.1%} of all",
                flush=True,
            )
    write_json(RESULTS, {name: mean._asdict() for name, mean in means.items()})


if __name__ == "__main__":
    main()
