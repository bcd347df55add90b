import numpy as np

from fashion_jax.metrics.suspected_label_errors import (
    SuspectedPair,
    find_suspected_label_errors,
)


def by_angle(*degrees):
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def suspects(degrees, identity, count=10, photo=None):
    photo = None if photo is None else np.array(photo)
    found = find_suspected_label_errors(by_angle(*degrees), np.array(identity), photo, count)
    return [(each.first, each.second) for each in found]


def test_most_similar_first_and_each_pair_of_products_once():
    # Products 1 and 2 meet at 10 and 11 (and, farther, 20 and 11); 2 and 3 at 60 and 63.
    assert suspects([20, 10, 11, 60, 63], [1, 1, 2, 2, 3]) == [(1, 2), (3, 4), (0, 4)]


def test_a_product_is_never_its_own_suspect():
    assert suspects([0, 0, 0], [5, 5, 5]) == []


def test_garments_of_one_photo_are_no_suspects():
    for photo in ([7, 7, 8], ["a", "a", "b"]):
        assert suspects([0, 1, 40], [1, 2, 3], photo=photo) == [(1, 2), (0, 2)]


def test_identities_may_be_texts():
    assert suspects([0, 1, 40], ["hat", "hat", "coat"]) == [(1, 2)]


def test_no_more_than_asked_for_and_their_similarity():
    found = find_suspected_label_errors(by_angle(0, 60, 61), np.arange(3), np.arange(3), 1)
    assert found == [SuspectedPair(1, 2, found[0].score)]
    np.testing.assert_allclose(found[0].score, np.cos(np.deg2rad(1)), atol=1e-6)


def test_one_photo_has_none():
    assert suspects([0], [1]) == []
    assert suspects([0, 1], [1, 2], count=0) == []
