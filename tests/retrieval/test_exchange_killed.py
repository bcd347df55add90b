"""Killed at any step, the exchange of models leaves one of them, whole, and goes on afterwards."""

import itertools
import shutil

import pytest

from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.generations import GROWING, NEXT, open_for
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.catalogue.next_generation import remove_left_overs
from tests.processes import TalkingProcess
from tests.retrieval import two_models
from tests.retrieval.changing_catalogues import Photo
from tests.retrieval.two_models import CARDS, add, assert_is, exchange, write

FIRST = [Photo(f"first {i}", 0) for i in range(9)]
NEW = [Photo("first 0", 1), Photo("new", 0)]

pytestmark = pytest.mark.slow


class Exchanger(TalkingProcess):
    """The other process; see `exchanging_process`."""

    def __init__(self):
        super().__init__("tests.retrieval.exchanging_process")

    def exchange(self, index, step):
        """Exchange the models of a catalogue; returns whether it was killed at that step."""
        self.say(f"{step} {index}")
        ended = self.answer()
        assert ended in ("killed", "ended 0")
        return ended == "killed"


@pytest.mark.parametrize(
    ("kind", "prepared", "every"),
    [
        ("exact", False, 13),
        ("exact", True, 7),
        ("scann", True, 9),
        pytest.param("exact", False, 1, marks=pytest.mark.exhaustive),
        pytest.param("scann", False, 1, marks=pytest.mark.exhaustive),
        pytest.param("scann", True, 1, marks=pytest.mark.exhaustive),
    ],
)
def test_kills(tmp_path, kind, prepared, every):
    write(tmp_path / "first", FIRST, kind=kind)
    if prepared:
        two_models.prepare(tmp_path / "first")
    seen = set()
    with Exchanger() as exchanger:
        for step in itertools.count(1, every):
            index = shutil.copytree(tmp_path / "first", tmp_path / "index")
            if not exchanger.exchange(index, step):
                break
            seen.add(checked(index, more=step % 2 == 0))
            shutil.rmtree(index)
    assert seen == {"first", "second"}


def checked(index, more):
    """Check the state that a kill left, then go on; returns the model whose it was."""
    model = "first" if Manifest.read(index).card == CARDS["first"] else "second"
    assert_is(Catalogue.open(index), FIRST, model)
    assert_is(open_for(index, CARDS[model]), FIRST, model)
    if (index / NEXT).exists():
        assert_is(open_for(index, CARDS["second"]), FIRST, "second")
    photos = FIRST
    if more:
        add(index, NEW, model)
        photos = [*FIRST[1:], *NEW]
    if model == "second":
        remove_left_overs(index)
    else:
        known = stored(index) - {NEW[0].name} if more else stored(index)
        assert set(exchange(index)) == {photo.name for photo in photos} - known
    assert_is(Catalogue.open(index), photos, "second")
    assert [path.name for path in index.parent.iterdir()] == ["first", "index"]
    if more or model == "first":  # what is left of a kill goes with the next change
        assert {path.name for path in index.iterdir()} == {
            "manifest.json",
            *Manifest.read(index).folders,
        }
    return model


def stored(index):
    """Names of the photos that have an embedding of the second model."""
    for place in (index / NEXT, index / GROWING):
        if (place / "manifest.json").exists():
            return {item.photo_id for item in Contents(place).items}
    return set()
