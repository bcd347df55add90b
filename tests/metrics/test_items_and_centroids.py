"""Products as competitors: by hand, and against every protocol written out query by query."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_jax.metrics import ranking as ranking_module
from fashion_jax.metrics.labels import Labels, MetricsError
from fashion_jax.metrics.protocol import PROTOCOLS, ignored
from fashion_jax.metrics.ranking import rank_distances, rank_embeddings


def labels(identity, category=None, camera=None, photo=None):
    count = len(identity)
    return Labels(
        np.array(identity),
        np.array(category or ["hats"] * count),
        np.array(camera or [-1] * count),
        np.array(photo or range(count)),
    )


def by_angle(*degrees):
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


QUERY = labels([7], camera=[1], photo=[100])
# Product 8 is nearest with one photo, far away with the other; 7's nearest photo is the query
# camera's own; distractor 9 lies between.
ANGLES = by_angle(10, 80, 5, 30, 25)
GALLERY = labels([8, 8, 7, 7, 9], camera=[1, 2, 1, 2, -1])


def test_an_item_counts_once_at_its_best_photo():
    # Photos left: 8 at 10, 9 at 25, 7 at 30: product 7 is third; photo 8 at 80 takes no rank.
    assert rank_embeddings(by_angle(0), ANGLES, QUERY, GALLERY, "item").ranks.tolist() == [3]
    distances = np.array([[10.0, 80, 5, 30, 25]])
    assert rank_distances(distances, QUERY, GALLERY, "item").ranks.tolist() == [3]
    many = rank_embeddings(by_angle(0), by_angle(1, 2, 3, 4), QUERY, labels([8, 8, 8, 7]), "item")
    assert many.ranks.tolist() == [2]


def test_a_centroid_is_the_mean_of_what_is_not_left_out():
    # Centroids: 8 at 45, 9 at 25, 7 at 30 without its photo by the query's camera (17.5 with it).
    assert rank_embeddings(by_angle(0), ANGLES, QUERY, GALLERY, "centroid").ranks.tolist() == [2]
    unknown = labels([7], camera=[-1], photo=[100])
    assert rank_embeddings(by_angle(0), ANGLES, unknown, GALLERY, "centroid").ranks.tolist() == [1]


@pytest.mark.filterwarnings("ignore:1 of 1 queries lose gallery photos")
def test_the_query_photo_is_in_nobodys_centroid():
    # Photo 0 shows product 8, and, cut out otherwise, is the query: 8 is at 80 without it.
    query = labels([7], photo=[0])
    assert rank_embeddings(by_angle(0), ANGLES, query, GALLERY, "centroid").ranks.tolist() == [1]


def test_distances_have_no_centroids():
    with pytest.raises(MetricsError, match="means of embeddings"):
        rank_distances(np.zeros((1, 5)), QUERY, GALLERY, "centroid")


def test_photos_that_cancel_each_other_out_rank_as_unlike_as_a_right_angle():
    gallery = labels([8, 8, 7, 9])
    found = rank_embeddings(by_angle(0), by_angle(90, -90, 120, 80), QUERY, gallery, "centroid")
    assert found.ranks.tolist() == [3]


def test_equal_items_stand_in_the_order_of_their_first_photos():
    gallery = labels([9, 7, 9, 8])
    for protocol in ("item", "centroid"):
        found = rank_embeddings(by_angle(0), by_angle(5, 5, 5, 5), QUERY, gallery, protocol)
        assert found.ranks.tolist() == [2]


def written_out(queries_qd, gallery_gd, queries, gallery, protocol):
    """Ranks of each query's right answers, by looking at everything."""
    unit, ranks = PROTOCOLS[protocol].unit, []
    for query in range(len(queries)):
        kept = ~ignored(queries, query, gallery)
        if protocol.startswith("in_category"):
            kept &= gallery.category == queries.category[query]
        rows = np.flatnonzero(kept)
        identities = gallery.identity[rows]
        if unit == "instance":
            scores, products = [gallery_gd[row] @ queries_qd[query] for row in rows], identities
        else:
            pool = np.flatnonzero(
                np.isin(gallery.category, queries.category[query])
                | (not protocol.startswith("in_category"))
            )
            order = dict.fromkeys(gallery.identity[pool].tolist())
            products = np.array([each for each in order if each in identities])
            scores = []
            for product in products:
                photos = gallery_gd[rows[identities == product]]
                if unit == "item":
                    scores.append((photos @ queries_qd[query]).max())
                else:
                    mean = photos.sum(axis=0)
                    scores.append(mean @ queries_qd[query] / max(np.linalg.norm(mean), 1e-12))
        order = np.argsort(-np.array(scores), kind="stable")
        right = np.flatnonzero(np.array(products)[order] == queries.identity[query])
        ranks.append((right + 1).tolist())
    return ranks


@pytest.mark.filterwarnings("ignore:.* lose gallery photos of another product")
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(PROTOCOLS)), st.integers(1, 200))
def test_every_protocol_in_any_blocks(seed, protocol, scores_at_once):
    """Few products, categories, cameras and photos, so that everything meets everything."""
    rng = np.random.default_rng(seed)

    def drawn(count):
        identity = rng.integers(0, 6, count)
        columns = (identity, np.array(list("abc"))[identity % 3])
        # On a coarse grid in float32 with few dimensions scores tie, and are equal in any order
        # of sums: entries are 0, 1 or 2 of 4 unit axes.
        rows = np.eye(4, dtype=np.float32)[rng.integers(0, 4, count)]
        return rows, Labels(
            *columns,
            rng.integers(-1, 2, count),
            rng.integers(0, 8, count),
        )

    queries_qd, queries = drawn(rng.integers(1, 9))
    gallery_gd, gallery = drawn(rng.integers(0, 25))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking_module, "_SCORES_AT_ONCE", scores_at_once)
        patch.setattr(ranking_module, "_SORTED_FROM", 3)
        found = rank_embeddings(queries_qd, gallery_gd, queries, gallery, protocol)
    expected = written_out(queries_qd, gallery_gd, queries, gallery, protocol)
    assert found.relevant.tolist() == [len(each) for each in expected]
    assert found.ranks.tolist() == [rank for each in expected for rank in each]
    assert ((found.skip_reason == "") == (found.relevant > 0)).all()
