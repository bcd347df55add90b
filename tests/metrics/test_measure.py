"""Metrics from embeddings and identities alone: by hand, golden, and refusals by name."""

import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.metrics.labels import MetricsError
from fashion_jax.metrics.measure import retrieval_metrics
from fashion_jax.metrics.ranking import NO_MATCH, NothingToMeasureError
from fashion_jax.retrieval.index import EmbeddingError


def by_angle(*degrees):
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


# Query 0, a coat at 0 degrees, meets coats at ranks 1, 3 and 6: AP = (1 + 2/3 + 3/6) / 3 = 13/18.
# Query 1, a belt at 70 degrees, sees the gallery the other way round, with belts at ranks 2 and 3:
# AP = (1/2 + 2/3) / 2 = 7/12. Query 2 shows a shoe, which the gallery lacks.
QUERIES = by_angle(0, 70, 0)
GALLERY = by_angle(10, 20, 30, 40, 50, 60)
QUERY_PRODUCTS = ["coat", "belt", "shoe"]
PRODUCTS = ["coat", "hat", "coat", "belt", "belt", "coat"]
NUMBERS = {"coat": 7, "hat": 8, "belt": 9, "shoe": 5}
EVERYTHING = (QUERIES, GALLERY, QUERY_PRODUCTS, PRODUCTS)


def test_by_hand():
    found = retrieval_metrics(*EVERYTHING, depths=(1, 2))
    assert found["instance/mAP"] == pytest.approx((13 / 18 + 7 / 12) / 2)
    assert found["instance/MRR"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["instance/Acc@1"] == 0.5
    assert found["instance/Acc@2"] == 1.0
    assert found["instance/Recall@2"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert "instance/Acc@5" not in found


def test_it_is_a_mapping_of_names_to_floats():
    found = retrieval_metrics(*EVERYTHING)
    assert dict(found) == dict(found.items())
    assert len(found) == len(list(found)) == 5 + 3 * 5
    assert all(type(value) is float for value in found.values())
    assert "'instance/mAP': 0.65" in repr(found)


def test_per_query_values_stand_in_the_queries_order():
    found = retrieval_metrics(*EVERYTHING)
    each = found.per_query()
    assert each.keys() == found.keys()
    np.testing.assert_allclose(each["instance/mAP"], [13 / 18, 7 / 12, np.nan])
    for name, values in each.items():
        assert np.nanmean(values) == pytest.approx(found[name])
    assert found.rankings["instance"].skipped()[NO_MATCH] == 1


def test_intervals_hold_the_metrics():
    found = retrieval_metrics(*EVERYTHING)
    intervals = found.intervals()
    assert intervals.keys() == found.keys()
    # Two products: a sample has one of them twice, or both.
    assert intervals["instance/mAP"] == pytest.approx((7 / 12, 13 / 18))
    assert intervals == found.intervals()


def test_identities_may_be_numbers():
    numbers = [[NUMBERS[name] for name in names] for names in (QUERY_PRODUCTS, PRODUCTS)]
    expected = dict(retrieval_metrics(*EVERYTHING))
    assert dict(retrieval_metrics(QUERIES, GALLERY, *numbers)) == expected
    assert dict(retrieval_metrics(QUERIES, GALLERY, *map(np.array, numbers))) == expected


def test_jax_arrays_and_half_precision():
    numbers = [jnp.array([NUMBERS[name] for name in names]) for names in (QUERY_PRODUCTS, PRODUCTS)]
    found = retrieval_metrics(jnp.asarray(QUERIES), jnp.asarray(GALLERY), *numbers)
    assert dict(found) == dict(retrieval_metrics(*EVERYTHING))
    half = [jnp.asarray(each, dtype=jnp.bfloat16) for each in (QUERIES, GALLERY)]
    assert dict(retrieval_metrics(*half, *numbers)) == dict(found)


def test_golden_map(shared):
    with np.load(shared / "goldens" / "reranking.npz") as golden:
        names = ("query_features", "gallery_features", "query_ids", "gallery_ids")
        found = retrieval_metrics(*(golden[name] for name in names))
        assert found["instance/mAP"] == pytest.approx(float(golden["map_before"]), abs=1e-6)


def clustered(rng, rows, products):
    identity = rng.integers(0, products, rows)
    embeddings = np.eye(products)[identity] + 0.6 * rng.normal(size=(rows, products))
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), identity


def test_row_numbers_as_photo_ids_lose_matches_and_warn():
    rng = np.random.default_rng(0)
    (queries, asked), (gallery, found) = clustered(rng, 60, 4), clustered(rng, 60, 4)
    arguments = queries, gallery, asked, found
    right = retrieval_metrics(*arguments)
    rows = {"query_photo_id": np.arange(60), "gallery_photo_id": np.arange(60)}
    lost = int(np.sum(asked != found))
    with pytest.warns(UserWarning, match=f"{lost} of 60 queries lose gallery photos of another"):
        wrong = retrieval_metrics(*arguments, **rows)
    assert wrong["instance/mAP"] != right["instance/mAP"]
    kept = [
        ranking.relevant.sum()
        for ranking in (right.rankings["instance"], wrong.rankings["instance"])
    ]
    assert kept[0] - kept[1] == 60 - lost  # a right answer in the query's own row is gone
    apart = retrieval_metrics(*arguments, **rows | {"gallery_photo_id": np.arange(60, 120)})
    assert dict(apart) == dict(right)


def shared_photos(lost):
    """20 queries, of which the first ones are cut out of photos that show another product."""
    rows, identity, photo = np.eye(20), np.arange(20), np.arange(100, 120)
    photo[:lost] = np.arange(19, 19 - lost, -1)
    ids = {"query_photo_id": photo, "gallery_photo_id": np.arange(20)}
    return retrieval_metrics(rows, rows, identity, identity, **ids)


def test_a_few_shared_photos_are_no_reason_to_warn():
    assert shared_photos(1)["instance/mAP"] == 1.0
    with pytest.warns(UserWarning, match="2 of 20 queries lose"):
        shared_photos(2)


def test_photo_ids_leave_the_query_itself_out():
    photo = {"query_photo_id": ["a", "b", "c"], "gallery_photo_id": list("axyzst")}
    found = retrieval_metrics(*EVERYTHING, **photo)
    # The coat query's own photo, at rank 1, is gone: its coats stand at ranks 2 and 5.
    assert found.per_query()["instance/mAP"][0] == pytest.approx((1 / 2 + 2 / 5) / 2)


def test_cameras_leave_the_products_photos_by_the_same_camera_out():
    camera = {"query_camera": [1, -1, 1], "gallery_camera": [2, 1, 1, 1, 1, 2]}
    found = retrieval_metrics(*EVERYTHING, **camera)
    # Coats by camera 2 stand at ranks 1 and 5 of what is left; nothing is left out for the belt.
    expected = [(1 + 2 / 5) / 2, 7 / 12, np.nan]
    np.testing.assert_allclose(found.per_query()["instance/mAP"], expected)


def test_several_protocols():
    category = {
        "query_category": ["tops", "accessories", "shoes"],
        "gallery_category": ["tops", "accessories", "tops", "accessories", "accessories", "tops"],
    }
    found = retrieval_metrics(*EVERYTHING, **category, protocol=("instance", "in_category", "item"))
    assert found["instance/mAP"] == retrieval_metrics(*EVERYTHING)["instance/mAP"]
    # Among tops all are coats; among accessories the belts stand before the hat.
    assert found["in_category/mAP"] == 1.0
    # By product, the coat is first for the coat query; for the belt query, behind the coat.
    assert found["item/mAP"] == pytest.approx((1 + 1 / 2) / 2)
    groups = found.rankings["instance"].per_category()
    assert {name: each.queries for name, each in groups.items()} == {
        "accessories": 1,
        "shoes": 0,
        "tops": 1,
    }


def test_domains_of_queries():
    found = retrieval_metrics(*EVERYTHING, query_domain=["street", "shop", "street"])
    groups = found.rankings["instance"].per_domain()
    assert {name: each.queries for name, each in groups.items()} == {"shop": 1, "street": 1}
    assert retrieval_metrics(*EVERYTHING).rankings["instance"].per_domain() == {}


def test_other_lengths_are_refused_unless_they_are_to_be_scaled():
    longer = (QUERIES * 3, GALLERY * np.linspace(0.1, 9, 6)[:, None], QUERY_PRODUCTS, PRODUCTS)
    message = r"3 of 3 query embeddings are not L2-normalised \(lengths 3.*pass normalise=True"
    with pytest.raises(EmbeddingError, match=message):
        retrieval_metrics(*longer)
    scaled = retrieval_metrics(*longer, normalise=True)
    assert dict(scaled) == pytest.approx(dict(retrieval_metrics(*EVERYTHING)))


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
@pytest.mark.parametrize("normalise", [False, True])
def test_rows_without_a_direction_are_named(value, normalise):
    gallery = GALLERY.copy()
    gallery[4] = value
    with pytest.raises(EmbeddingError, match=r"1 of 6 gallery embeddings .*: rows 4"):
        retrieval_metrics(QUERIES, gallery, QUERY_PRODUCTS, PRODUCTS, normalise=normalise)


def test_lengths_must_fit():
    with pytest.raises(EmbeddingError, match="3 query embeddings but labels of 2 photos"):
        retrieval_metrics(QUERIES, GALLERY, QUERY_PRODUCTS[:2], PRODUCTS)
    with pytest.raises(MetricsError, match=r"gallery labels: .* 6 of identity, 5 of camera"):
        retrieval_metrics(*EVERYTHING, query_camera=[0] * 3, gallery_camera=[0] * 5)
    with pytest.raises(EmbeddingError, match="have 3 dimensions; expected 2"):
        retrieval_metrics(QUERIES, np.eye(6)[:, :3], QUERY_PRODUCTS, PRODUCTS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"query_camera": [0] * 3}, "camera is missing for the gallery only"),
        ({"gallery_photo_id": range(6)}, "photo_id is missing for the queries only"),
        ({"query_camera": [0.0] * 3}, "query labels: camera has dtype float64; expected integers"),
        ({"query_category": [None] * 3}, "query labels: category has dtype object"),
        ({"protocol": "in_category"}, "protocol in_category needs the category of each photo"),
        ({"protocol": ["instance", "items"]}, "unknown protocol 'items'.*did you mean 'item'"),
        ({"depths": (0, 1)}, "depths are at least 1, found 0, 1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(MetricsError, match=message):
        retrieval_metrics(*EVERYTHING, **labels)


def test_numbers_and_texts_are_not_the_same_product():
    with pytest.raises(MetricsError, match="identity holds integers for the queries and texts"):
        retrieval_metrics(QUERIES, GALLERY, [1, 2, 3], PRODUCTS)


def test_nothing_to_measure_is_an_error():
    with pytest.raises(NothingToMeasureError, match="none of the 3 queries has a correct match"):
        retrieval_metrics(QUERIES, GALLERY, ["glove"] * 3, PRODUCTS)
