"""The graph of preferences: an edge from the preferred text to the other, one per row."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Numbers = NDArray[np.int64]


class Contradictions(NamedTuple):
    """Per row: the number of its conflict or circle, -1 where it is in none."""

    conflict: Numbers
    circle: Numbers


def find_contradictions(preferred: Numbers, other: Numbers) -> Contradictions:
    """Rows that say the opposite of another row, and rows of circles over three or more texts.

    An edge lies on a circle exactly when both ends are in one strongly connected component.
    Conflicts are taken out first, so that a circle is never just two rows. Rows whose two texts
    are equal have no edge.
    """
    if not len(preferred):
        return Contradictions(preferred.copy(), preferred.copy())
    low, high = np.minimum(preferred, other), np.maximum(preferred, other)
    n_texts = int(high.max()) + 1
    edge = low * n_texts + high
    forward = (preferred == low) & (low != high)
    backward = (preferred == high) & (low != high)
    both = np.intersect1d(edge[forward], edge[backward])
    in_conflict = np.isin(edge, both) & (low != high)
    conflict = np.where(in_conflict, np.searchsorted(both, edge), -1)

    is_edge = (low != high) & ~in_conflict
    graph = coo_array(
        (np.ones(is_edge.sum(), dtype=np.int32), (preferred[is_edge], other[is_edge])),
        shape=(n_texts, n_texts),
    )
    part = connected_components(graph, directed=True, connection="strong")[1]
    on_circle = is_edge & (part[preferred] == part[other])
    return Contradictions(conflict, np.where(on_circle, part[preferred], -1))
