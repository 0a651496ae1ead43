"""The choice of held-out pictures: by path, few but never none or all, and no near-duplicate on the other side."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

pytest.importorskip("torch")

from nicodec.train import held


def paths(count: int) -> list[bytes]:
    return [hashlib.sha256(f"folder{i % 3}/{i}.png".encode()).digest() for i in range(count)]


def looks(groups: list[int]) -> list[bytes]:
    """A hash of each picture: those of one group differ in ten bits, groups in about half of all."""
    found = []
    for i, group in enumerate(groups):
        bits = np.random.default_rng(group).integers(0, 2, 256).astype(np.uint8)
        bits[np.random.default_rng(1000 + i).choice(256, 5, replace=False)] ^= 1
        found.append(np.packbits(bits).tobytes())
    return found


@pytest.mark.parametrize(
    ("pictures", "number"),
    [(1, 1), (2, 1), (4, 1), (12, 3), (20, 5), (50, 5), (100, 10), (200, 20), (640, 20), (1400, 44), (20_000, 64)],
)
def test_a_few_are_held_out_of_a_few_and_64_at_most(pictures: int, number: int) -> None:
    assert held.wanted(pictures) == number


@pytest.mark.parametrize("count", [2, 3, 7, 20, 200])
def test_the_number_wanted_is_held_out_of_pictures_that_differ(count: int) -> None:
    chosen = held.choose(paths(count), looks(list(range(count))))
    assert len(set(chosen)) == held.wanted(count)


def test_the_path_decides_and_not_the_order_or_the_other_pictures() -> None:
    names, all_looks = paths(40), looks(list(range(40)))
    chosen = {names[i] for i in held.choose(names, all_looks)}
    turned = {names[::-1][i] for i in held.choose(names[::-1], all_looks[::-1])}
    assert chosen == turned == set(sorted(names)[: held.wanted(40)])


def test_near_duplicates_stay_on_one_side() -> None:
    groups = [i // 2 for i in range(40)]
    chosen = held.choose(paths(40), looks(groups))
    assert 0 < len(chosen) < 40
    assert not {groups[i] for i in chosen} & {groups[i] for i in range(40) if i not in chosen}


def film(count: int) -> list[bytes]:
    """Frames of which each differs from the next in 20 bits, and from all others in more than near-duplicates do."""
    bits = np.zeros((count, 256), np.uint8)
    for i in range(count):
        bits[i, : 20 * i] = 1
    return [np.packbits(row).tobytes() for row in bits]


def test_what_is_alike_through_others_is_one_group() -> None:
    """Three frames: the first and the last are no near-duplicates, and yet on one side."""
    chosen = held.choose(paths(40), film(3) + looks(list(range(1, 38))))
    assert len({0, 1, 2} & set(chosen)) in (0, 3)
    names = paths(40)
    names[1] = b""  # the first to be looked at
    assert {0, 1, 2} <= set(held.choose(names, film(3) + looks(list(range(1, 38)))))


def test_of_a_film_single_frames_are_held_out_and_their_neighbours_not_learnt_from() -> None:
    """The slices of a scan are one long row of near-duplicates: it must neither be held out whole nor unmeasured."""
    frames = film(12)
    chosen = held.choose(paths(12), frames)
    kept = held.Held([], looks=[frames[i] for i in chosen])
    lost = {i for i in range(12) if kept.has("", frames[i])}
    assert chosen
    assert lost == {j for i in chosen for j in (i - 1, i, i + 1) if 0 <= j < 12}
    assert len(lost) <= 3
    names = paths(120)
    names[5] = b""  # the first to be looked at
    with_others = held.choose(names, film(13) + looks(list(range(1, 108))))
    assert 5 in with_others
    assert len({i for i in with_others if i < 13}) <= 5
    assert len(with_others) == held.wanted(120)


@pytest.mark.parametrize(("alike", "others"), [(6, 18), (10, 30), (45, 155)])
def test_a_burst_of_near_duplicates_does_not_take_the_place_of_other_pictures(alike: int, others: int) -> None:
    """Each of them would take all the others from learning."""
    names = paths(alike + others)
    names[:alike] = [bytes([0, i]) for i in range(alike)]  # the first to be looked at
    chosen = held.choose(names, looks([0] * alike + list(range(1, others + 1))))
    assert len(chosen) == held.wanted(alike + others)
    assert min(chosen) >= alike


def test_of_two_dense_scans_a_part_of_one_is_held_out() -> None:
    chosen = held.choose(paths(200), looks([0] * 100 + [1] * 100))
    assert len(chosen) == 64
    assert len({i < 100 for i in chosen}) == 1


def test_of_two_kinds_one_is_held_out_and_of_one_kind_none() -> None:
    chosen = held.choose(paths(4), looks([0, 0, 1, 1]))
    assert sorted(chosen) in ([0, 1], [2, 3])
    assert held.choose(paths(4), looks([0, 0, 0, 0])) == []
    assert held.choose(paths(1), looks([0])) == []


def test_a_held_out_picture_is_told_by_its_file_and_by_its_look() -> None:
    one, near, other = looks([0, 0, 1])
    kept = held.Held([], ["ab"], [one])
    assert kept.has("ab", other)
    assert kept.has("cd", near)
    assert not kept.has("cd", other)
    assert not held.Held([], borrowed=True).has("cd", other)
    assert held.Held.of(kept.meta(), []) == kept
