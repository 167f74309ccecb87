"""How much of a payload its elements would repeat: what is said once goes into a record, or a line, of each.

A payload of a thousand elements and half a megabyte of number would become half a gigabyte of records. So a
piece of a payload is weighed before anything is made of it, and what is too heavy is refused whole.
"""

from collections.abc import Iterator, Sequence

from flows.channels.expressions import ELEMENT, Tree, has_array, quoted

MOST_TIMES = 50
"""Its own size that the elements of a piece may repeat of it. Only what the mapping reads counts: of orders a
few hundred bytes, and a line has no less than fifty."""

TOO_HEAVY = (
    f"its elements would repeat what it says once, more than {MOST_TIMES} times its own size"
)


def is_heavy(root: Tree, lists: Sequence[str]) -> str:
    """The condition under which a piece ``p`` of so many bytes (``raw_bytes``) is; empty if none can be.

    Args:
        root: what is asked for.
        lists: expressions of further arrays whose elements become records.
    """
    said, counted = _bytes(root, "p"), [f"coalesce(len({one}), 0) * said" for one in lists]
    repeated = " + ".join([*_repeated(root, "p", "said", 0), *counted])
    if not repeated:
        return ""
    # a lambda, so that what is said is worked out once
    sums = f"list_transform([{said}], lambda said: {repeated})"
    heavy = f"coalesce({sums}[1] > {MOST_TIMES} * raw_bytes, false)"
    arrays = [(path, below[ELEMENT]) for path, below in _members(root, "p") if ELEMENT in below]
    if lists or any(has_array(below) for _, below in arrays):
        return heavy
    # few elements cannot repeat so much: most orders are let through by that
    number = " + ".join(f"coalesce(len({path}), 0)" for path, _ in arrays)
    return f"CASE WHEN {number} <= {MOST_TIMES} THEN false ELSE {heavy} END"


def _repeated(tree: Tree, at: str, said: str, depth: int) -> Iterator[str]:
    """For each array, the bytes that its elements repeat of what holds them, and theirs repeat of all that."""
    for path, below in _members(tree, at):
        if ELEMENT in below:
            inner = f"x{depth}"
            within = f"{said} + {_bytes(below[ELEMENT], inner)}"
            deeper = " + ".join(_repeated(below[ELEMENT], inner, f"({within})", depth + 1))
            each = f"list_transform({path}, lambda {inner}: {said} + {deeper})"
            yield (
                f"coalesce(list_sum({each}), 0)" if deeper else f"coalesce(len({path}), 0) * {said}"
            )


def _bytes(tree: Tree, at: str) -> str:
    """Of all texts of an object that are in none of its arrays."""
    texts = (path for path, below in _members(tree, at) if not below)
    return " + ".join(f"coalesce(strlen({path}), 0)" for path in texts) or "0"


def _members(tree: Tree, at: str) -> Iterator[tuple[str, Tree]]:
    """The texts and arrays of an object, and of the objects in it."""
    if not tree or ELEMENT in tree:
        yield at, tree
        return
    for name, below in tree.items():
        yield from _members(below, f"{at}.{quoted(name)}")
