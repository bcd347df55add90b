import shutil

import numpy as np
import pytest

from fashion_jax.datasets.building.build import build, check
from fashion_jax.datasets.building.raw_copy import LayoutError
from fashion_jax.metrics.labels import Labels
from fashion_jax.metrics.ranking import rank_embeddings
from tests.data_builders.built_records import everything, identities, read_all
from tests.dummy_data import market1501 as dummy_data


def person(record):
    """The person that the photo's name says."""
    return dummy_data.person_of(record.photo_id)


def is_distractor(record):
    return person(record) == 0


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "market"
    dummy_data.write_dummy_data(folder)
    return folder


@pytest.fixture(scope="module")
def built(raw, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    report = build("market1501", data_dir, raw, progress=False, validation_fraction=0.3)
    return data_dir, report


@pytest.fixture(scope="module")
def records(built):
    return read_all(built[0], "market1501")


def test_photo_counts(built):
    # Of 41 in train, 10 queries and 26 in the gallery.
    assert built[1].counts["photos"] == {
        "expected": 77,
        "found": 77,
        "missing": 0,
        "empty": 1,
        "truncated": 1,
        "not_an_image": 1,
        "unsupported_format": 0,
        "too_large": 0,
        "unreadable": 0,
        "usable": 74,
    }


def test_all_that_is_left_out_is_listed_by_name(built):
    problems = dict(built[1].problems)
    assert problems.pop("same_picture_of_two_products")  # the dummy photos are drawn alike
    assert problems == {
        "distractor_outside_the_test": [dummy_data.DISTRACTOR_AS_QUERY],
        "empty": [dummy_data.EMPTY],
        "identity_in_train_and_test": ["0030"],
        "junk": [
            "bounding_box_test/-1_c1s1_000100_00.jpg",
            "bounding_box_test/-1_c1s1_000125_01.jpg",
            "bounding_box_test/-1_c1s1_000150_02.jpg",
            "bounding_box_test/-1_c1s1_000175_03.jpg",
            dummy_data.JUNK_IN_TRAIN,
        ],
        "misnamed": [dummy_data.MISNAMED],
        "not_an_image": [dummy_data.NOT_AN_IMAGE],
        "truncated": [dummy_data.TRUNCATED],
    }


def test_published_sizes_stand_beside_those_of_the_folders(built):
    published = built[1].published
    assert {name: sizes["listed"] for name, sizes in published.items()} == {
        "boxes": 76,
        "identities": 16,
        "train_photos": 46,
        "train_identities": 9,
        "query_photos": 11,
        "query_identities": 6,
        "test_photos": 30,
        "test_photos_without_junk": 26,
        "distractors": 3,
    }
    assert published["boxes"]["published"] == 32_668
    assert published["train_photos"]["published"] + published["test_photos"]["published"] == 32_668


def test_junk_is_in_no_split(records):
    assert not [record for record in everything(records) if person(record) < 0]


def test_distractors_are_in_the_gallery_and_match_nothing(records):
    distractors = [record for record in everything(records) if is_distractor(record)]
    assert len(distractors) == dummy_data.DISTRACTORS
    assert {each.photo_id for each in distractors} < {each.photo_id for each in records["gallery"]}
    of_distractors = {record.identity for record in distractors}
    assert len(of_distractors) == dummy_data.DISTRACTORS
    assert not of_distractors & identities(records, "train", "query", "val_query", "val_gallery")


def test_camera_is_that_of_the_name(records):
    for record in everything(records):
        assert f"_c{record.camera}s" in record.photo_id


def test_category(records):
    assert {record.category for record in everything(records)} == {"person"}


def test_person_in_train_and_test_is_left_to_the_test(records):
    places = [record.photo_id for record in everything(records) if person(record) == 30]
    assert places == ["bounding_box_test/0030_c2s1_000200_00.jpg"]


def test_validation_asks_once_by_each_camera(records):
    # Three tenths of the six persons whom two cameras took twice.
    queries = [(each.identity, int(each.camera)) for each in records["val_query"]]
    assert len(identities(records, "val_query")) == 2
    assert len(queries) == len(set(queries)) == 6
    assert len(records["val_gallery"]) == 6
    for identity, camera in queries:
        others = {each.camera for each in records["val_gallery"] if each.identity == identity}
        assert others - {camera}
    assert {person(each) for each in records["val_query"]} <= set(dummy_data.TRAIN_PERSONS)


def test_persons_without_a_match_by_another_camera_are_not_for_validation(raw, tmp_path):
    options = {"splits": ["train"], "validation_fraction": 0.9}
    build("market1501", tmp_path, raw, progress=False, **options)
    left = {person(record) for record in read_all(tmp_path, "market1501")["train"]}
    assert {dummy_data.ONE_CAMERA, dummy_data.SEEN_ONCE_EACH} < left


def labels(records, cameras_known=True):
    camera = [int(record.camera) if cameras_known else -1 for record in records]
    return Labels(
        identity=np.array([record.identity for record in records]),
        category=np.array([record.category for record in records]),
        camera=np.array(camera),
        photo_id=np.array([record.photo_id for record in records]),
    )


def rank(records, query, cameras_known=True):
    """Ranks the gallery for a query to which its own camera's photos are the most alike.

    Then come the distractors, then photos of the same person by other cameras, then all others.
    """

    def angle(record):
        if is_distractor(record):
            return 0.1
        if record.identity != query.identity:
            return 1.0
        return 0.0 if record.camera == query.camera else 0.2

    gallery = records["gallery"]
    angles = np.array([angle(record) for record in gallery], dtype=np.float32)
    return rank_embeddings(
        np.array([[1.0, 0.0]], dtype=np.float32),
        np.stack([np.cos(angles), np.sin(angles)], axis=1),
        labels([query], cameras_known),
        labels(gallery, cameras_known),
    )


def query_of(records, number):
    return next(record for record in records["query"] if person(record) == number)


def test_same_camera_is_left_out_of_the_ranking_and_distractors_are_not(records):
    ranking = rank(records, query_of(records, 1))
    # Behind the three distractors, two photos by the other camera: (1/4 + 2/5) / 2.
    assert ranking.first_match.tolist() == [4]
    np.testing.assert_allclose(ranking.average_precision, [0.325])


def test_without_cameras_nothing_is_left_out(records):
    ranking = rank(records, query_of(records, 1), cameras_known=False)
    # Two by its own camera, then the distractors, then two more: (1/1 + 2/2 + 3/6 + 4/7) / 4.
    assert ranking.first_match.tolist() == [1]
    np.testing.assert_allclose(ranking.average_precision, [(2 + 1 / 2 + 4 / 7) / 4])


def test_queries_without_a_right_answer_are_skipped_and_counted(records):
    same_camera = rank(records, query_of(records, dummy_data.SAME_CAMERA_ONLY))
    assert same_camera.skip_reason.tolist() == ["only_same_camera_matches"]
    nothing = rank(records, query_of(records, dummy_data.WITHOUT_MATCH))
    assert nothing.skip_reason.tolist() == ["no_match_in_gallery"]


def test_photos_of_other_names_only(raw, tmp_path):
    (tmp_path / "bounding_box_test").mkdir()
    shutil.copy(raw / "query" / "Thumbs.db", tmp_path / "bounding_box_test")
    (tmp_path / "bounding_box_test" / "a.jpg").write_bytes(b"")
    with pytest.raises(LayoutError, match=r"1 have other names, such as bounding_box_test/a\.jpg"):
        check("market1501", tmp_path, progress=False)
