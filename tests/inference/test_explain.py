"""Maps of what makes photos similar."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.inference.explain import explain_similarity, overlay
from fashion_jax.inference.model import load_model
from tests.e2e.untrained_run import write_untrained_run

SIDE = 32  # of the network's input
RED, BLUE = (220, 20, 20), (20, 20, 220)


def colours(variables, images):
    """An embedding of how much of a photo is red, green and blue."""
    wide = images.astype(jnp.float32)
    others = jnp.stack([jnp.maximum(wide[..., i - 1], wide[..., i - 2]) for i in range(3)], -1)
    found = jnp.mean(jnp.maximum(wide - others, 0), (1, 2)) + 1.0
    return found / jnp.linalg.norm(found, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory, tiny_data_dir):
    from fashion_jax.config import from_nested_dict

    fields = {"data": {"data_dir": str(tiny_data_dir)}, "model": {"backbone": "tiny"}}
    fields |= {"image": {"height": SIDE, "width": SIDE}, "mesh": {"data": 1}}
    config = from_nested_dict(fields | {"evaluation": {"batch_size": 50}})
    folder = tmp_path_factory.mktemp("run")
    write_untrained_run(config, folder)
    return dataclasses.replace(load_model(folder), encode=colours)


def scene(top, left, background=128, garment=RED):
    """A garment of 12×12 pixels on a noisy ground."""
    rng = np.random.default_rng(background)
    ground = np.clip(background + rng.normal(0, 3, (SIDE, SIDE, 1)), 0, 255)
    image = np.repeat(ground, 3, axis=2).astype(np.uint8)
    image[top : top + 12, left : left + 12] = garment
    return image


def peak(heat):
    return np.unravel_index(int(heat.argmax()), heat.shape)


def inside(heat, top, left):
    row, column = peak(heat)
    return top <= row < top + 12 and left <= column < left + 12


def test_the_map_moves_with_the_garment(model):
    answer = scene(10, 10)
    for top, left in ((0, 0), (2, 18), (18, 4)):
        (found,) = explain_similarity(model, scene(top, left), [answer])
        assert inside(found.query, top, left)
        assert inside(found.answer, 10, 10)
        assert found.query.shape == (SIDE, SIDE)


def test_the_map_stays_when_the_background_changes(model):
    answer = scene(10, 10)
    maps = [
        explain_similarity(model, scene(4, 16, background), [answer])[0].query
        for background in (60, 128, 200)
    ]
    for other in maps[1:]:
        assert peak(other) == peak(maps[0])
        assert np.corrcoef(maps[0].ravel(), other.ravel())[0, 1] > 0.95


def test_what_makes_photos_differ_is_negative(model):
    query = scene(0, 0)
    query[18:30, 18:30] = BLUE  # the answer is red alone
    (found,) = explain_similarity(model, query, [scene(10, 10)])
    assert found.query[2:10, 2:10].mean() > 0 > found.query[20:28, 20:28].mean()


def test_each_answer_has_its_own_map(model):
    places = [(0, 0), (18, 18)]
    answers = [scene(*place) for place in places]
    found = explain_similarity(model, scene(10, 10), answers)
    query, *others = np.asarray(colours(None, np.stack([scene(10, 10), *answers])))
    for each, place, other in zip(found, places, others, strict=True):
        assert inside(each.answer, *place)
        assert each.similarity == pytest.approx(float(query @ other), abs=1e-5)


def test_alike_everywhere_is_a_flat_map(model):
    plain = np.full((SIDE, SIDE, 3), 128, np.uint8)
    (found,) = explain_similarity(model, plain, [plain])
    np.testing.assert_allclose(found.query, 0, atol=1e-6)
    assert np.isfinite(overlay(plain, found.query)).all()


def test_overlay_colours_what_is_warm():
    photo = np.full((40, 20, 3), 100, np.uint8)
    heat = np.zeros((8, 8), np.float32)
    heat[0, 0] = 1.0
    found = overlay(photo, heat).astype(int)
    assert found.shape == photo.shape
    assert found[0, 0, 0] > found[0, 0, 2] + 40  # orange
    assert abs(found[39, 19] - found[39, 19].mean()).max() <= 2  # grey
