"""What each factor group adds at a leaf.

No tree splits on features of two groups (``scoring.train``), so all that a leaf adds to the margin, less what its tree
adds on average, is its group's. That is the group's exact Shapley value: TreeSHAP (Lundberg, Erion, Lee: "Consistent
Individualized Feature Attribution for Tree Ensembles", 2018) shares the same sum among the features of the tree, and
those are of one group. For other boosters these are Saabas' contributions, which only come near.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32, I64
from scoring.trees import Forest, saabas

LeafFactors = tuple[F32, ...]  # of every tree [nodes, groups]: what each group adds at a leaf; 0 at other nodes


def leaf_factors(forest: Forest, group_of: I64, groups: int) -> LeafFactors:
    """Return what each group adds at the leaves; at each they sum to its value less the mean of its tree."""
    return tuple(saabas(tree, group_of, groups).astype(np.float32) for tree in forest.trees)


def at_leaves(factors: LeafFactors, leaves: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the sums float64[n, groups] over the trees, for leaves [n, trees] as ``pred_leaf`` gives them."""
    found = np.zeros((len(leaves), factors[0].shape[1]))
    for number, table in enumerate(factors):
        found += table[leaves[:, number]]
    return found
