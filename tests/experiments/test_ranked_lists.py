import numpy as np
import pytest

from fashion_jax.evaluation.embedded import EmbeddedTest
from fashion_jax.experiments.run_report import _ranked_lists
from tests.datasets.fakes import FakeSplit


def embedded(query, gallery, seed):
    rng = np.random.default_rng(seed)
    photos = {name: rng.normal(size=6) for name in {*query.photo_id, *gallery.photo_id}}

    def embed(split):
        rows = np.stack([photos[name] for name in split.photo_id])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    return EmbeddedTest(query, gallery, embed(query), embed(gallery))


@pytest.mark.parametrize("seed", range(3))
def test_lists_leave_out_the_photo_itself(seed):
    everything = FakeSplit("all", identities=3)
    test = embedded(everything, everything, seed)
    ranking = test.rank("instance")
    lists = _ranked_lists(test, ranking)
    assert len(lists) == 12
    for each in lists:
        query = everything.photo_id.tolist().index(each.caption.split()[1])
        scores = test.gallery_gd @ test.queries_qd[query]
        order = [row for row in np.argsort(-scores, kind="stable").tolist() if row != query]
        assert [answer.caption for answer in each.answers] == [
            f"{everything.category[row]} {everything.photo_id[row]}" for row in order[:8]
        ]
        right = [everything.identity[row] == everything.identity[query] for row in order]
        assert [answer.right for answer in each.answers] == right[:8]
        assert each.first_match_rank == right.index(True) + 1
        assert each.total_relevant == 3


def test_lists_leave_out_the_same_camera():
    query, gallery = FakeSplit("query", identities=2), FakeSplit("gallery", identities=2)
    query.camera = np.full(len(query), 1, np.int32)
    gallery.camera = np.array([1, 1, 2, 2] * 2, np.int32)
    test = embedded(query, gallery, seed=0)
    for each in _ranked_lists(test, test.rank("instance")):
        assert len(each.answers) == 6
        assert sum(answer.right for answer in each.answers) == each.total_relevant == 2


def test_a_gallery_of_strangers_is_shown_whole():
    test = embedded(FakeSplit("query", 2), FakeSplit("gallery", 2), seed=1)
    lists = _ranked_lists(test, test.rank("instance"))
    assert {len(each.answers) for each in lists} == {8}
    assert {each.total_relevant for each in lists} == {4}
