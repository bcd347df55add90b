import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.metrics import ranking as ranking_module
from fashion_jax.metrics.labels import Labels
from fashion_jax.metrics.ranking import (
    NO_MATCH,
    ONLY_ITSELF,
    ONLY_SAME_CAMERA,
    NothingToMeasureError,
    match_ranks,
    rank_distances,
    rank_embeddings,
)
from fashion_jax.retrieval.index import EmbeddingError

NUMBERS = itertools.count()


def labels(identity, category=None, camera=None, photo=None, domain=None):
    """Labels; every photo is another one unless they are named."""
    count = len(identity)
    photo = [f"photo {next(NUMBERS)}" for _ in range(count)] if photo is None else photo
    return Labels(
        identity=np.array(identity),
        category=np.array(category or ["hats"] * count, dtype="<U8"),
        camera=np.array(camera or [-1] * count),
        photo_id=np.array(photo),
        domain=None if domain is None else np.array(domain),
    )


# The worked example. Query 0 (identity 7, hats) sees the gallery at these distances:
#   row       0    1    2    3    4    5
#   distance  .1   .2   .3   .4   .5   .6
#   identity  7    8    7    9    9    7
#   category  hats bags hats hats bags hats
# Right answers stand at ranks 1, 3, 6: AP = (1/1 + 2/3 + 3/6) / 3 = 13/18.
# Among hats alone they stand at ranks 1, 2, 4: AP = (1 + 1 + 3/4) / 3 = 11/12.
# Query 1 (identity 9, hats) sees it the other way round: the 9s stand at ranks 2 and 3,
# AP = (1/2 + 2/3) / 2 = 7/12; among hats alone the only 9 stands at rank 2, AP = 1/2.
# Query 2 (identity 5) has no right answer.
DISTANCES = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]] * 3)
DISTANCES[1] = DISTANCES[1][::-1]
QUERIES = labels([7, 9, 5])
GALLERY = labels([7, 8, 7, 9, 9, 7], ["hats", "bags", "hats", "hats", "bags", "hats"])


def test_worked_example():
    result = rank_distances(DISTANCES, QUERIES, GALLERY)
    np.testing.assert_allclose(result.average_precision, [13 / 18, 7 / 12, np.nan])
    assert result.first_match.tolist() == [1, 2, 0]
    assert result.skip_reason.tolist() == ["", "", NO_MATCH]
    metrics = result.metrics(depths=(1, 2))
    assert metrics["instance/mAP"] == pytest.approx((13 / 18 + 7 / 12) / 2)
    assert metrics["instance/Acc@1"] == 0.5
    assert metrics["instance/Acc@2"] == 1.0


def test_worked_example_in_category():
    result = rank_distances(DISTANCES, QUERIES, GALLERY, protocol="in_category")
    np.testing.assert_allclose(result.average_precision, [11 / 12, 1 / 2, np.nan])
    assert result.first_match.tolist() == [1, 2, 0]
    assert result.metrics(depths=(1,))["in_category/mAP"] == pytest.approx(17 / 24)


def test_worked_example_from_embeddings():
    angles = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    gallery = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    queries = np.array([[1.0, 0.0], [np.cos(0.7), np.sin(0.7)], [1.0, 0.0]])
    for protocol in ("instance", "in_category"):
        result = rank_embeddings(queries, gallery, QUERIES, GALLERY, protocol)
        expected = rank_distances(DISTANCES, QUERIES, GALLERY, protocol)
        np.testing.assert_array_equal(result.average_precision, expected.average_precision)
        np.testing.assert_array_equal(result.first_match, expected.first_match)


@pytest.mark.parametrize(
    ("scores", "matches", "ranks"),
    [
        ([0.9, 0.5, 0.7], [1], [3]),
        ([0.9, 0.5, 0.7], [2, 1], [2, 3]),
        ([0.5, 0.5, 0.5, 0.5], [2], [3]),
        ([0.5, 0.5, 0.5, 0.5], [0, 3], [1, 4]),
        ([0.5, 0.9, 0.5], [0, 2], [2, 3]),
    ],
)
def test_ranks_with_ties_by_row(scores, matches, ranks):
    assert match_ranks(np.array(scores), np.array(matches)).tolist() == ranks


def test_ranks_are_those_of_a_stable_sort():
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores = rng.integers(0, 6, 40).astype(np.float32)
        matches = np.flatnonzero(rng.random(40) < 0.2)
        order = np.argsort(-scores, kind="stable")
        expected = np.flatnonzero(np.isin(order, matches)) + 1
        np.testing.assert_array_equal(match_ranks(scores, matches), expected)


def test_same_camera_photos_are_left_out():
    # Row 0, the query's own product by its own camera, neither counts nor takes a rank.
    gallery = labels([7, 8, 7], camera=[1, 1, 2])
    result = rank_distances(np.array([[0.1, 0.2, 0.3]]), labels([7], camera=[1]), gallery)
    assert result.first_match.tolist() == [2]
    assert result.average_precision.tolist() == [0.5]


def test_without_cameras_nothing_is_left_out():
    gallery = labels([7, 8, 7], camera=[-1, -1, -1])
    result = rank_distances(np.array([[0.1, 0.2, 0.3]]), labels([7], camera=[-1]), gallery)
    assert result.first_match.tolist() == [1]


# Every photo is query and gallery: a and b show product 7, c and d product 8, e product 9; d
# shows product 7 as well, cut out by another box, and f is the only photo of product 6.
#   photo     a    b    c    d    d    e    f
#   identity  7    7    8    8    7    9    6
# Every query sees the gallery in this order. Without themselves:
#   a finds b at rank 1 and d's 7 at rank 4: AP = (1 + 2/4) / 2 = 3/4; so does b.
#   c finds d's 8 at rank 3: AP = 1/3.
#   d's 8 leaves out both rows of d and finds c at rank 3: AP = 1/3; d's 7 finds a and b: AP = 1.
#   e and f could only find themselves.
ALL_PHOTOS = labels([7, 7, 8, 8, 7, 9, 6], photo=["a", "b", "c", "d", "d", "e", "f"])
IN_ORDER = np.array([[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]] * 7)


SHARED_PHOTOS = pytest.mark.filterwarnings("ignore:2 of 7 queries lose gallery photos")


@SHARED_PHOTOS
def test_a_photo_never_retrieves_itself():
    result = rank_distances(IN_ORDER, ALL_PHOTOS, ALL_PHOTOS)
    expected = [3 / 4, 3 / 4, 1 / 3, 1 / 3, 1, np.nan, np.nan]
    np.testing.assert_allclose(result.average_precision, expected)
    assert result.first_match.tolist() == [1, 1, 3, 3, 1, 0, 0]
    assert result.skip_reason.tolist() == [""] * 5 + [ONLY_ITSELF] * 2
    assert result.skipped() == {NO_MATCH: 0, ONLY_SAME_CAMERA: 0, ONLY_ITSELF: 2}


@SHARED_PHOTOS
def test_a_photo_never_retrieves_itself_from_embeddings():
    angles = np.array([0.1, 0.15, 0.3, 0.55, 0.55, 0.9, 1.3])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for protocol in ("instance", "in_category"):
        result = rank_embeddings(embeddings, embeddings, ALL_PHOTOS, ALL_PHOTOS, protocol)
        # d's 7 sees c, e, b, a: b and a are at ranks 3 and 4.
        expected = [3 / 4, 3 / 4, 1 / 3, 1, (1 / 3 + 2 / 4) / 2, np.nan, np.nan]
        np.testing.assert_allclose(result.average_precision, expected)


@pytest.mark.filterwarnings("ignore:1 of 1 queries lose gallery photos")
def test_only_the_same_camera_is_said_where_the_camera_hides_another_photo():
    gallery = labels([7, 7], camera=[1, 1], photo=["a", "b"])
    result = rank_distances(np.zeros((1, 2)), labels([7], camera=[1], photo=["a"]), gallery)
    assert result.skip_reason.tolist() == [ONLY_SAME_CAMERA]
    result = rank_distances(np.zeros((1, 2)), labels([8], camera=[1], photo=["a"]), gallery)
    assert result.skip_reason.tolist() == [NO_MATCH]


def test_skipped_queries_are_counted_by_reason():
    queries = labels([7, 6, 8, 5], camera=[1, 1, 2, 1])
    gallery = labels([7, 8], camera=[1, 1])
    result = rank_distances(np.zeros((4, 2)), queries, gallery)
    assert result.skip_reason.tolist() == [ONLY_SAME_CAMERA, NO_MATCH, "", NO_MATCH]
    assert result.skipped() == {NO_MATCH: 2, ONLY_SAME_CAMERA: 1, ONLY_ITSELF: 0}
    assert result.measured.tolist() == [False, False, True, False]


def test_ranks_beyond_the_gallery_are_fine():
    result = rank_distances(DISTANCES, QUERIES, GALLERY)
    assert result.metrics(depths=(50,))["instance/Acc@50"] == 1.0
    np.testing.assert_allclose(result.cmc(8), [0.5] + [1.0] * 7)


def test_cmc_is_the_accuracies():
    result = rank_distances(DISTANCES, QUERIES, GALLERY)
    metrics = result.metrics(depths=(1, 2, 3))
    np.testing.assert_allclose(result.cmc(3), [metrics[f"instance/Acc@{k}"] for k in (1, 2, 3)])


@pytest.mark.parametrize("protocol", ["instance", "in_category"])
def test_nothing_to_measure_is_an_error_with_counts(protocol):
    result = rank_distances(DISTANCES[:2], labels([1, 2]), GALLERY, protocol)
    for measure in (result.metrics, lambda: result.cmc(5)):
        with pytest.raises(NothingToMeasureError, match=f"none of the 2.*{NO_MATCH}: 2"):
            measure()


def test_a_category_that_the_gallery_lacks_is_skipped():
    queries = labels([7, 9], ["hats", "belts"])
    result = rank_distances(DISTANCES[:2], queries, GALLERY, "in_category")
    assert result.skip_reason.tolist() == ["", NO_MATCH]


def test_per_category():
    queries = labels([7, 9, 5, 8], ["hats", "hats", "hats", "belts"])
    distances = np.concatenate([DISTANCES, DISTANCES[:1]])
    result = rank_distances(distances, queries, GALLERY).per_category()
    assert list(result) == ["belts", "hats"]
    assert (result["hats"].queries, result["hats"].skipped) == (2, 1)
    assert result["hats"].mean_average_precision == pytest.approx((13 / 18 + 7 / 12) / 2)
    assert result["hats"].accuracy_at_1 == 0.5
    assert result["belts"].mean_average_precision == 0.5
    without = rank_distances(distances, labels([7, 9, 5, 5], queries.category.tolist()), GALLERY)
    assert without.per_category()["belts"].queries == 0
    assert math.isnan(without.per_category()["belts"].mean_average_precision)


def test_golden_ranking(shared):
    with np.load(shared / "goldens" / "ranking.npz") as golden:
        queries = labels(golden["query_ids"], camera=golden["query_cameras"].tolist())
        gallery = labels(golden["gallery_ids"], camera=golden["gallery_cameras"].tolist())
        result = rank_distances(golden["distances"], queries, gallery)
        expected = float(golden["mean_average_precision"])
        np.testing.assert_allclose(result.metrics()["instance/mAP"], expected, atol=1e-6)
        np.testing.assert_allclose(result.cmc(50), golden["cmc"], atol=1e-6)
    assert sum(result.skipped().values()) == 3


def clustered(rng, rows, identities):
    identity = rng.integers(0, identities, rows)
    embeddings = np.eye(identities)[identity] + 0.5 * rng.normal(size=(rows, identities))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    category = [f"c{i % 3}" for i in identity]
    return embeddings.astype(np.float32), labels(identity, category)


@pytest.mark.parametrize("protocol", ["instance", "in_category"])
def test_blocks_change_nothing(monkeypatch, protocol):
    rng = np.random.default_rng(1)
    queries, query_labels = clustered(rng, 37, 12)
    gallery, gallery_labels = clustered(rng, 101, 12)
    whole = rank_embeddings(queries, gallery, query_labels, gallery_labels, protocol)
    monkeypatch.setattr(ranking_module, "_SCORES_AT_ONCE", 250)
    blocks = rank_embeddings(queries, gallery, query_labels, gallery_labels, protocol)
    np.testing.assert_allclose(blocks.average_precision, whole.average_precision)
    np.testing.assert_array_equal(blocks.first_match, whole.first_match)


def test_in_category_is_never_harder():
    rng = np.random.default_rng(2)
    arguments = [*clustered(rng, 40, 12), *clustered(rng, 200, 12)]
    queries, query_labels, gallery, gallery_labels = arguments
    whole = rank_embeddings(queries, gallery, query_labels, gallery_labels)
    inside = rank_embeddings(queries, gallery, query_labels, gallery_labels, "in_category")
    assert (inside.average_precision >= whole.average_precision).all()


def test_jax_and_half_precision_embeddings_are_accepted():
    rng = np.random.default_rng(3)
    queries, query_labels = clustered(rng, 5, 12)
    gallery, gallery_labels = clustered(rng, 60, 12)
    half = [jnp.asarray(array, dtype=jnp.bfloat16) for array in (queries, gallery)]
    result = rank_embeddings(*half, query_labels, gallery_labels)
    same_in_float32 = [np.asarray(array, dtype=np.float32) for array in half]
    expected = rank_embeddings(*same_in_float32, query_labels, gallery_labels)
    np.testing.assert_array_equal(result.average_precision, expected.average_precision)


def test_wrong_rows_are_named():
    gallery = np.eye(6)
    gallery[4, 0] = np.nan
    with pytest.raises(EmbeddingError, match=r"1 of 6 gallery embeddings contain NaN.*rows 4"):
        rank_embeddings(np.eye(6)[:3], gallery, QUERIES, GALLERY)


def test_labels_must_fit():
    with pytest.raises(EmbeddingError, match="2 query embeddings but labels of 3 photos"):
        rank_embeddings(np.eye(6)[:2], np.eye(6), QUERIES, GALLERY)
    with pytest.raises(EmbeddingError, match="5 columns of distances but labels of 6"):
        rank_distances(DISTANCES[:, :5], QUERIES, GALLERY)


@pytest.mark.parametrize(
    "convert", [jnp.asarray, lambda d: jnp.asarray(d, jnp.bfloat16), lambda d: (10 * d).astype(int)]
)
def test_distances_of_other_types(convert):
    found = rank_distances(convert(DISTANCES), QUERIES, GALLERY)
    assert found.ranks.tolist() == rank_distances(DISTANCES, QUERIES, GALLERY).ranks.tolist()


def test_distances_have_a_row_per_query():
    with pytest.raises(EmbeddingError, match=r"shape \(6,\); expected \[queries, gallery\]"):
        rank_distances(DISTANCES[0], QUERIES, GALLERY)


def test_distances_must_be_finite():
    distances = DISTANCES.copy()
    distances[1, 3] = np.inf
    with pytest.raises(EmbeddingError, match=r"queries \[1\]"):
        rank_distances(distances, QUERIES, GALLERY)


def test_per_domain():
    queries = labels([7, 9, 5], domain=["shop", "street", "street"])
    result = rank_distances(DISTANCES, queries, GALLERY).per_domain()
    assert list(result) == ["shop", "street"]
    assert result["shop"].to_json() == {
        "queries": 1,
        "skipped": 0,
        "mAP": pytest.approx(13 / 18),
        "Acc@1": 1.0,
    }
    assert (result["street"].queries, result["street"].skipped) == (1, 1)
    lost = labels([5], domain=["street"])
    nothing = rank_distances(DISTANCES[:1], lost, GALLERY).per_domain()["street"]
    assert nothing.to_json() == {"queries": 0, "skipped": 1, "mAP": None, "Acc@1": None}


def test_intervals_hold_the_metrics():
    rng = np.random.default_rng(5)
    queries, query_labels = clustered(rng, 60, 12)
    gallery, gallery_labels = clustered(rng, 80, 12)
    result = rank_embeddings(queries, gallery, query_labels, gallery_labels)
    metrics, intervals = result.metrics(), result.intervals()
    assert metrics.keys() == intervals.keys()
    assert all(low <= metrics[name] <= high for name, (low, high) in intervals.items())
    assert intervals["instance/mAP"][0] < intervals["instance/mAP"][1]
