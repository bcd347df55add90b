import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.build import check
from fashion_jax.datasets.building.contact_cell import CELL, TILE
from fashion_jax.datasets.building.contact_sheet import draw_contact_sheet, write_contact_sheet
from fashion_jax.datasets.building.crop_samples import CropSamples, SampleGroup
from fashion_jax.datasets.building.crops import StoredItem
from fashion_jax.datasets.building.plan import PlannedItem
from fashion_jax.datasets.photo_sheet import GOOD_COLOUR, WRONG_COLOUR
from fashion_jax.datasets.photos import UndecodablePhotoError
from fashion_jax.datasets.records import Domain
from fashion_jax.errors import FashionJaxError

GREEN, BLACK = (0, 255, 0), (0, 0, 0)


def make_item(photo, box=None, domain=Domain.STREET):
    return PlannedItem(photo_id=photo, category="hats", identity=(photo,), domain=domain, box=box)


def stored(number, defect=None, box=Box(1, 2, 3, 4), domain=Domain.STREET):  # noqa: B008
    return StoredItem(make_item(f"{number:05d}", box, domain), b"", defect)


@dataclasses.dataclass
class OnePhoto:
    """Every photo is black with a green garment in 40..80 × 20..90 of 100×100 pixels."""

    loads: int = 0

    def __contains__(self, photo_id):
        return True

    def load(self, photo_id):
        if photo_id == "gone":
            raise UndecodablePhotoError("empty", "0 bytes")
        self.loads += 1
        photo = np.zeros((100, 100, 3), np.uint8)
        photo[20:90, 40:80] = GREEN
        return photo


def sheet_of(box, margin=0.0, photo="a"):
    group = SampleGroup("good_street", 1, [make_item(photo, box)])
    return np.asarray(draw_contact_sheet([group], OnePhoto(), margin, "title"))


def has(pixels, colour):
    return (pixels == colour).all(axis=2)


def opened(path):
    return Image.open(io.BytesIO(path.read_bytes()))


def tiles(sheet):
    """The left and the right tile of the only cell, found by its place at the lower border."""
    top = sheet.shape[0] - 24 - 16 - CELL[1]
    left = sheet[top : top + TILE, 24 : 24 + TILE]
    right = sheet[top : top + TILE, 24 + CELL[0] - TILE : 24 + CELL[0]]
    return left, right


def test_photo_with_its_box_and_the_crop_beside_it():
    left, right = tiles(sheet_of(Box(40, 20, 40, 70)))
    # The photo fills its tile: 1.72 times as large.
    assert has(left[90:100, 80:120], GREEN).all()
    assert has(left[2:30, 2:60], BLACK).all()
    rows, columns = np.nonzero(has(left, GOOD_COLOUR))
    assert (columns.min(), columns.max()) == (round(40 * 1.72), round(80 * 1.72))
    assert (rows.min(), rows.max()) == (round(20 * 1.72), round(90 * 1.72))
    # The crop is the garment and nothing else.
    assert has(right[4:-4, 60:110], GREEN).all()
    assert not has(right, BLACK).any()


def test_crop_has_the_margin():
    _, right = tiles(sheet_of(Box(40, 20, 40, 70), margin=0.25))
    assert has(right, BLACK).sum() > has(right, GREEN).sum() / 3


def test_box_that_reaches_out_is_shown_outside_the_photo():
    left, right = tiles(sheet_of(Box(40, 20, 90, 70)))
    frame = has(left, WRONG_COLOUR)
    assert frame.any()
    assert not has(left, GOOD_COLOUR).any()
    # 130 pixels are shown across, so that the photo ends at 100/130 of the tile.
    _, columns = np.nonzero(frame)
    assert columns.max() > TILE * 100 / 130 + 20
    assert has(right, BLACK).any()


@pytest.mark.parametrize("box", [Box(900, 900, 9, 9), Box(-5000, 3, 9, 9), Box(7, 7, 0, 0)])
def test_box_that_is_nowhere_leaves_a_mark_and_the_whole_photo(box):
    left, right = tiles(sheet_of(box))
    assert has(left, WRONG_COLOUR).any()
    assert has(right[5:30, 5:60], BLACK).all()
    assert has(right[90:100, 80:120], GREEN).all()


def test_nothing_is_drawn_over_the_neighbours():
    sheet = sheet_of(Box(-5000, -5000, 20000, 20000))
    rows, columns = np.nonzero(has(sheet, WRONG_COLOUR))
    assert columns.min() >= 24
    assert columns.max() < 24 + TILE
    assert rows.min() >= sheet.shape[0] - 40 - CELL[1]


def test_photo_that_is_gone_by_then_does_not_end_the_check():
    assert has(sheet_of(Box(1, 2, 3, 4), photo="gone"), WRONG_COLOUR).any()


def test_long_and_strange_names_fit():
    names = ["x" * 500, "…/ボトムス/ｄ.jpg", "a\nb\0c", ""]
    items = [make_item(name, Box(1, 2, 30, 40)) for name in names]
    sheet = draw_contact_sheet([SampleGroup("good_shop", 9, items)], OnePhoto(), 0.0, "t" * 999)
    border = np.asarray(sheet)[:, -20:]
    assert (border == 255).all()


def test_few_items_of_each_kind_are_kept():
    samples = CropSamples(seed=0)
    for number in range(500):
        samples.add(stored(number))
        samples.add(stored(number, domain=Domain.SHOP))
        samples.add(stored(number, "clipped"))
        samples.add(stored(number, box=None))
    samples.add(stored(7, "empty"))
    groups = {group.kind: (group.total, len(group.items)) for group in samples.groups()}
    assert groups == {
        "empty": (1, 1),
        "clipped": (500, 4),
        "good_street": (500, 16),
        "good_shop": (500, 8),
        "without_any": (500, 4),
    }
    assert list(groups)[:2] == ["empty", "clipped"]


def test_samples_depend_on_the_seed_and_not_on_the_order():
    def chosen(seed, numbers):
        samples = CropSamples(seed)
        for number in numbers:
            samples.add(stored(number))
        (group,) = samples.groups()
        return [item.photo_id for item in group.items]

    assert chosen(0, range(300)) == chosen(0, reversed(range(300)))
    assert chosen(0, range(300)) != chosen(1, range(300))
    # Not merely the first or the last ones.
    assert len({photo[:3] for photo in chosen(0, range(300))}) == 3


def test_each_sampled_photo_is_loaded_once(tmp_path):
    photos = OnePhoto()
    group = SampleGroup("clipped", 7, [make_item(str(n), Box(40, 20, 90, 70)) for n in range(4)])
    write_contact_sheet(tmp_path / "a" / "sheet.png", [group], photos, 0.0, "title")
    assert photos.loads == 4
    assert opened(tmp_path / "a" / "sheet.png").format == "PNG"


@pytest.mark.slow
def test_check_writes_it(raw, tmp_path):
    path = tmp_path / "sheet.png"
    report = check("street2shop", raw, progress=False, contact_sheet=path)
    assert report == check("street2shop", raw, progress=False)
    sheet = np.asarray(opened(path))
    # One street photo of each of four kinds is in red, good boxes in green, shop photos in gray.
    assert has(sheet, WRONG_COLOUR).sum() > 200
    assert has(sheet, GOOD_COLOUR).sum() > 16 * 100
    other = tmp_path / "other.png"
    check("street2shop", raw, progress=False, contact_sheet=other, seed=5)
    assert other.read_bytes() != path.read_bytes()


def test_check_of_drawn_photos_without_boxes(tmp_path):
    sizes = {"train_identities": 4, "val_identities": 2, "test_identities": 2, "distractors": 0}
    path = tmp_path / "sheet.png"
    check("synthetic_street2shop", progress=False, contact_sheet=path, **sizes)
    assert opened(path).width > 1000


@pytest.mark.parametrize("place", ["", "file/sheet.png"])
def test_place_that_cannot_be_written_to_is_refused_before_the_check(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(FashionJaxError, match="cannot write the contact sheet"):
        check("street2shop", "/nowhere", progress=False, contact_sheet=tmp_path / place)
