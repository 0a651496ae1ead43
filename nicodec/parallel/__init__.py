"""One function over many items: in processes of this machine, or on a Ray cluster; one interface for both.

Under the command line. `threads` is for the windows of one picture.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Literal, Protocol, TypeAlias, cast

from nicodec.parallel.processes import Answer, Local
from nicodec.parallel.threads import Item, Result


class Engine(Protocol):
    """Where work is done."""

    def answers(self, work: Callable[[Item], Result], items: list[Item]) -> Iterator[tuple[Item, Answer[Result]]]:
        """Each item once with the answer to it, as answers come. work, items and results have to be picklable."""


Name: TypeAlias = Literal["local", "ray"]


def engine(name: Name, workers: int | None) -> Engine:
    """The engine of this name. workers: how many items at once; None means as many as there are cores."""
    if name == "local":
        return Local(workers)
    from nicodec.parallel.cluster import Cluster  # not before: few need it

    return Cluster(workers)


def in_turn(
    engine: Engine, work: Callable[[Item], Result], items: list[Item]
) -> Generator[tuple[Item, Answer[Result]], None, None]:
    """`Engine.answers` in the order of the items. What comes too early is kept until its turn."""
    places = {id(item): place for place, item in enumerate(items)}
    if len(places) < len(items):
        raise ValueError("an item is there twice")
    early: dict[int, tuple[Item, Answer[Result]]] = {}
    turn = 0
    # All engines answer by generators, which end their work when they are closed.
    with closing(cast("Generator[tuple[Item, Answer[Result]], None, None]", engine.answers(work, items))) as answers:
        for item, answer in answers:
            early[places[id(item)]] = item, answer
            while turn in early:
                yield early.pop(turn)
                turn += 1
