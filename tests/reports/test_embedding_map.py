import numpy as np
import pytest

from fashion_jax.reports.embedding_map import COLUMNS, ROWS, embedding_map
from tests.retrieval.unit_vectors import clustered


def test_photos_lie_in_the_order_of_the_largest_component():
    # Along an arc from east to north-east, one direction has nearly all of the variance.
    radians = np.deg2rad(np.linspace(0, 20, 200))
    arc = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
    found = embedding_map(arc)
    by_column = sorted(found.photos, key=lambda photo: photo.column)
    rows = [place.row for place in by_column if place.line == by_column[0].line]
    assert rows == sorted(rows) or rows == sorted(rows, reverse=True)
    columns = np.array([place.column for place in by_column])
    middle = np.array([place.row for place in by_column])
    assert abs(np.corrcoef(columns, middle)[0, 1]) > 0.99
    assert found.variance == pytest.approx(1.0)


@pytest.mark.parametrize("photos", [1, 2, 5, 400])
def test_every_photo_is_counted_once(photos):
    found = embedding_map(clustered(photos, 8, 5))
    assert sum(photo.photos for photo in found.photos) == photos
    squares = [(photo.column, photo.line) for photo in found.photos]
    assert len(set(squares)) == len(squares)
    assert all(0 <= c < COLUMNS and 0 <= line < ROWS for c, line in squares)
    assert 0 <= found.variance <= 1 + 1e-9


def test_a_large_gallery_is_taken_in_blocks(monkeypatch):
    rows = clustered(100, 8, 5)
    whole = embedding_map(rows)
    monkeypatch.setattr("fashion_jax.reports.embedding_map._ROWS_AT_ONCE", 7)
    blocks = embedding_map(rows)
    assert blocks.photos == whole.photos
    assert blocks.variance == pytest.approx(whole.variance)


def test_photos_that_are_all_alike_are_no_error():
    alike = np.repeat(np.eye(1, 4, dtype=np.float32), 30, axis=0)
    assert sum(photo.photos for photo in embedding_map(alike).photos) == 30


def test_the_same_again():
    rows = clustered(100, 8, 5)
    assert embedding_map(rows) == embedding_map(rows)
