"""Shuffled sequences: what a sequence of the same composition looks like by chance."""

import numpy as np
import numpy.typing as npt

LETTERS = b"ACGTN"
_KINDS = len(LETTERS)


def shuffle_dinucleotides(sequence: bytes, seed: int, number: int) -> bytes:
    """Shuffle a sequence; it keeps its ends and the count of every dinucleotide.

    Every such order is equally likely: a random Eulerian path through the graph of the dinucleotides
    (Altschul & Erickson 1985), whose last steps are a random tree towards the last base (Wilson 1996).

    Parameters
    ----------
    sequence : bytes
        A, C, G, T; anything else is N, a letter of its own.
    seed, number : int
        The result depends on both, and on the sequence, only.

    Returns
    -------
    bytes
        In upper case.
    """
    if len(sequence) < 3:
        return sequence.upper()
    rng = np.random.Generator(np.random.Philox(key=[seed, number]))
    codes = _encoded(sequence)
    steps = [codes[1:][codes[:-1] == base] for base in range(_KINDS)]
    last = int(codes[-1])
    tree = _random_tree(steps, last, rng)
    orders = []
    for base, options in enumerate(steps):
        if base == last or not len(options):
            orders.append(iter(rng.permutation(options)))
            continue
        others = np.delete(options, np.flatnonzero(options == tree[base])[0])
        orders.append(iter([*rng.permutation(others), tree[base]]))
    path = [int(codes[0])]
    for _ in range(len(codes) - 1):
        path.append(int(next(orders[path[-1]])))
    return bytes(LETTERS[code] for code in path)


def _encoded(sequence: bytes) -> npt.NDArray[np.int64]:
    table = np.full(256, _KINDS - 1, np.int64)
    for code, letter in enumerate(LETTERS):
        table[[letter, ord(chr(letter).lower())]] = code
    return table[np.frombuffer(sequence, np.uint8)]


def _random_tree(steps: list[npt.NDArray[np.int64]], root: int, rng: np.random.Generator) -> dict[int, int]:
    """From every base a last step such that all lead to the root: loop-erased random walks."""
    tree: dict[int, int] = {}
    reached = {root}
    for base, options in enumerate(steps):
        if not len(options):
            continue
        at = base
        while at not in reached:
            tree[at] = int(rng.choice(steps[at]))
            at = tree[at]
        at = base
        while at not in reached:
            reached.add(at)
            at = tree[at]
    return tree
