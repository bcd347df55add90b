"""Killed at any moment, a change leaves the catalogue as it was or as it was to be."""

import pytest

from fashion_jax.retrieval.catalogue import Catalogue
from tests.retrieval import feeds
from tests.retrieval.changing_catalogues import (
    Photo,
    assert_answers,
    assert_holds,
    random_change,
    write,
)
from tests.retrieval.changing_process import Changer

FIRST = [Photo(f"first {i}", -1) for i in range(20)]

pytestmark = pytest.mark.slow


def states_through(photos, first, last):
    """The photos before change `first`, and after each change from there to `last`."""
    states = [photos]
    for number in range(first, last + 1):
        change = random_change(number, {photo.name for photo in states[-1]})
        states.append(change.of(states[-1]))
    return states


def fingerprint(catalogue):
    return [catalogue.thumbnail(row) for row in range(len(catalogue))]


@pytest.mark.parametrize("kind", ["exact", "scann"])
@pytest.mark.parametrize("kills", [20, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_kills(tmp_path, kind, kills):
    index = tmp_path / "index"
    write(index, FIRST, kind)
    photos, done = FIRST, 0
    with Changer(index, tmp_path / "journal") as changer:
        for kill in range(kills):
            states = states_through(photos, done, changer.start_and_kill(done))
            catalogue = Catalogue.open(index)
            # Which of the changes were finished is known, but for the last one that was begun.
            possible = [state for state in states[-2:] if holds(catalogue, state)]
            assert possible, f"neither the old nor the new state after kill {kill}"
            photos = possible[-1]
            done += len(states) - 1 if holds(catalogue, states[-1]) else max(len(states) - 2, 0)
            assert_holds(catalogue, photos)
            if kill % 10 == 0:
                assert_answers(catalogue, photos, 5)
    assert done > 0
    left_by_kills_is_removed(index, photos, kind)


def holds(catalogue, photos):
    return fingerprint(catalogue) == [photo.thumbnail for photo in photos]


def left_by_kills_is_removed(index, photos, kind):
    (index.parent / "journal").unlink()
    last = random_change(1, {photo.name for photo in photos})
    last.make(index)
    assert [path.name for path in index.parent.iterdir()] == ["index"]
    assert {path.name for path in index.iterdir()} == {"manifest.json"} | parts_of(index)
    assert_holds(Catalogue.open(index), last.of(photos))
    assert Catalogue.open(index).kind == kind


def parts_of(index):
    from fashion_jax.retrieval.catalogue.manifest import Manifest

    return set(Manifest.read(index).folders)


def test_readers_see_whole_states_while_a_writer_is_at_work(tmp_path):
    index = tmp_path / "index"
    write(index, FIRST)
    seen = []
    with Changer(index, tmp_path / "journal") as changer:
        changer.start(0)
        while len(seen) < 40:
            seen.append(fingerprint(Catalogue.open(index)))
        last = changer.kill()
    states = [[photo.thumbnail for photo in state] for state in states_through(FIRST, 0, last)]
    assert all(each in states for each in seen)
    assert seen[0] != seen[-1]


@pytest.mark.parametrize("kills", [15, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_kills_of_syncs_and_updates(tmp_path, kills):
    index, rows, done = tmp_path / "index", [feeds.Row(f"{i:02d}") for i in range(20)], 0
    feeds.sync(index, rows)
    with Changer(index, tmp_path / "journal", "feeds") as changer:
        for kill in range(kills):
            states = feeds.states_through(rows, done, changer.start_and_kill(done))
            found = feeds.content_of(index)
            possible = [state for state in states[-2:] if feeds.expected(state) == found]
            assert possible, f"neither the old nor the new state after kill {kill}"
            rows = possible[-1]
            done += len(states) - 1 if rows is states[-1] else max(len(states) - 2, 0)
    assert done > 0
    feeds.sync(index, rows[:5])
    assert {path.name for path in index.iterdir()} == {"manifest.json"} | parts_of(index)
    assert feeds.content_of(index) == feeds.expected(rows[:5])
