"""What every builder keeps to, on its dummy raw copy."""

import dataclasses
import functools
import json
import pathlib
from typing import Any

import numpy as np
import pytest

from fashion_jax.datasets.building.base import EmptySplitError
from fashion_jax.datasets.building.build import build, check
from fashion_jax.datasets.building.build_report import BuildReport
from fashion_jax.datasets.building.tally import PHOTO_OUTCOMES, USABLE
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.records import SPLITS
from tests.beam import IN_THIS_PROCESS, NO_BEAM
from tests.data_builders.built_records import everything, identities, read_all
from tests.data_builders.expected import DATASETS, DRAWN, Expected

VALIDATION_SPLITS = ("val_query", "val_gallery")
TEST_SPLITS = ("query", "gallery")
SMALL = 24  # pixels, less than any photo has


@dataclasses.dataclass(frozen=True)
class Built:
    """A dataset that was built from its dummy copy."""

    name: str
    expected: Expected
    raw: pathlib.Path | None
    data_dir: pathlib.Path
    report: BuildReport
    records: dict[str, list[Any]]

    @property
    def arguments(self) -> dict[str, Any]:
        """What `build` and `check` were called with, but for the data_dir."""
        return {**self.expected.arguments(self.raw), **self.expected.options}

    @property
    def directory(self) -> pathlib.Path:
        return self.data_dir / self.name / self.report.version


@pytest.fixture(scope="module")
def raw_of(tmp_path_factory):
    """Raw copies by name, each written once: `raw` in a folder of its own."""

    @functools.cache
    def write(name):
        raw = tmp_path_factory.mktemp(name) / "raw"
        DATASETS[name].write(raw)
        return raw

    return write


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=pytest.mark.slow if n == DRAWN else ()) for n in DATASETS],
)
def dataset(request, raw_of, tmp_path_factory):
    name, expected = request.param, DATASETS[request.param]
    raw = raw_of(name) if expected.write else None
    data_dir = tmp_path_factory.mktemp("data")
    report = build(name, data_dir, **expected.arguments(raw), **expected.options)
    return Built(name, expected, raw, data_dir, report, read_all(data_dir, name))


@pytest.fixture(scope="module")
def other(dataset, tmp_path_factory):
    """Records of a build with another seed, of small photos."""
    folder = tmp_path_factory.mktemp("other")
    build(dataset.name, folder, **dataset.arguments, seed=1, longest_side=SMALL)
    return read_all(folder, dataset.name)


def photo_ids(records, *splits):
    return {record.photo_id for split in splits for record in records[split]}


def shapes(records):
    """Heights and widths of the records of each photo."""
    found = {}
    for record in everything(records):
        found.setdefault(record.photo_id, []).append(record.image.shape[:2])
    return {photo_id: sorted(each) for photo_id, each in found.items()}


def test_counts_of_splits_are_those_of_the_records(dataset):
    for split, each in dataset.records.items():
        counted = {"photos": len(each), "identities": len(identities(dataset.records, split))}
        assert dataset.report.counts["splits"][split] == counted, split
    found = {split: len(dataset.records[split]) for split in dataset.expected.photos}
    assert found == dataset.expected.photos


def test_every_usable_photo_is_in_a_split_and_every_other_one_is_named(dataset):
    counts, problems = dataset.report.counts, dataset.report.problems
    photos = counts["photos"]
    assert photos["usable"] == len(photo_ids(dataset.records, *SPLITS))
    assert photos["usable"] == len(everything(dataset.records)) - dataset.expected.further_records
    assert photos["expected"] == sum(photos[outcome] for outcome in PHOTO_OUTCOMES)
    assert photos["found"] == photos["expected"] - photos["missing"]
    for outcome in set(PHOTO_OUTCOMES) - {USABLE}:
        assert len(problems.get(outcome, [])) == photos[outcome], outcome
    for defect, number in counts["boxes"].items():
        assert len(problems.get(f"box_{defect}", [])) == number, defect
    assert dataset.raw or not problems  # of what is drawn, nothing is wrong


def test_unanswered_queries_and_distractors_are_counted(dataset):
    counts, records = dataset.report.counts, dataset.records
    asked, answered = (identities(records, split) for split in TEST_SPLITS)
    without_match = [each for each in records["query"] if each.identity not in answered]
    assert counts["queries_without_match"] == len(without_match) == dataset.expected.without_match
    assert counts["distractor_identities"] == len(answered - asked) == dataset.expected.distractors
    in_categories = [each["queries_without_match"] for each in dataset.report.categories.values()]
    assert sum(in_categories) == dataset.expected.without_match


def test_identities_are_dense_and_splits_share_none(dataset, other):
    for records in (dataset.records, other):
        train = identities(records, "train")
        test = identities(records, *TEST_SPLITS)
        validation = identities(records, *VALIDATION_SPLITS)
        assert train
        assert test
        assert validation
        assert not train & validation
        assert not train & test
        assert not validation & test
        assert identities(records, *SPLITS) == set(range(dataset.expected.identities))


def test_identities_are_one_to_one_with_products(dataset):
    told = [(dataset.expected.product_of(each), each) for each in everything(dataset.records)]
    pairs = {(product, each.identity) for product, each in told if product is not None}
    products, numbers = zip(*pairs, strict=True)
    assert len(pairs) == len(set(products)) == len(set(numbers)) == dataset.expected.identities


def test_validation_is_asked_for_and_answered(dataset):
    """Each identity of it has a query and, in the gallery, another photo."""
    asked, answered = (identities(dataset.records, split) for split in VALIDATION_SPLITS)
    assert asked == answered
    assert len(asked) == dataset.expected.validation
    assert dataset.report.counts["val_queries_without_match"] == 0


def test_queries_and_gallery_have_their_domains(dataset):
    query, gallery = dataset.expected.domains
    for split in SPLITS:
        domains = {"train": {query, gallery}, "query": {query}, "gallery": {gallery}}
        found = {record.domain for record in dataset.records[split]}
        assert found == domains[split.removeprefix("val_")], split


def test_domains_are_those_of_the_photos(dataset):
    for record in everything(dataset.records):
        assert record.domain == dataset.expected.domain_of(record), record.photo_id


def test_cameras_are_those_that_are_known(dataset):
    cameras = {int(record.camera) for record in everything(dataset.records)}
    assert max(cameras) >= 0 if dataset.expected.cameras else cameras == {-1}


def test_records_are_in_the_order_of_photos(dataset):
    for records in dataset.records.values():
        found = [record.photo_id for record in records]
        assert found == sorted(found)


def test_photos_are_cut_by_their_boxes(dataset):
    for cut in dataset.expected.cuts:
        pixels = dataset.expected.source(dataset.raw, cut.photo_id).astype(int)
        if cut.box:
            left, top, right, bottom = cut.box
            pixels = pixels[top:bottom, left:right]
            assert pixels.shape == (bottom - top, right - left, 3)
        stored = [
            record
            for record in everything(dataset.records)
            if record.photo_id == cut.photo_id
            and record.category == (cut.category or record.category)
            and record.image.shape == pixels.shape
        ]
        assert len(stored) == 1, cut
        assert np.abs(stored[0].image - pixels).mean() < dataset.expected.tolerance, cut


def test_photos_are_no_larger_than_the_longest_side(dataset, other):
    before, after = shapes(dataset.records), shapes(other)
    assert before.keys() & after.keys()
    for photo_id in before.keys() & after.keys():
        for old, new in zip(before[photo_id], after[photo_id], strict=True):
            assert max(new) == min(SMALL, max(old)), photo_id
            # In proportion, up to the rounding to whole pixels; another seed draws other photos.
            if dataset.raw:
                assert np.abs(np.array(old) * max(new) / max(old) - new).max() <= 0.5, photo_id
    sides = {max(each) for of_photo in before.values() for each in of_photo}
    assert max(sides) > SMALL
    assert dataset.expected.side is None or sides == {dataset.expected.side}


def test_the_seed_chooses_what_the_lists_leave_open(dataset, other):
    def chosen_again(split):
        return photo_ids(other, split) == photo_ids(dataset.records, split)

    for split in TEST_SPLITS:
        assert chosen_again(split) is not dataset.expected.seed_chooses_test
    for split in VALIDATION_SPLITS:
        assert chosen_again(split) is dataset.expected.given_validation
    # Not only which photos ask: other products.
    products, others = (
        {dataset.expected.product_of(each) for s in VALIDATION_SPLITS for each in records[s]}
        for records in (dataset.records, other)
    )
    assert (products == others) is (dataset.expected.given_validation or not dataset.raw)


def test_check_counts_what_build_counts(dataset):
    assert check(dataset.name, **dataset.arguments, threads=3) == dataset.report


def test_another_build_gives_the_same_bytes(dataset, tmp_path):
    assert build(dataset.name, tmp_path, **dataset.arguments, threads=1) == dataset.report
    paths = sorted(dataset.directory.glob("*.array_record*"))
    assert len(paths) == len(SPLITS)
    for path in paths:
        assert (tmp_path / path.relative_to(dataset.data_dir)).read_bytes() == path.read_bytes()


def test_a_build_with_beam_gives_the_same_bytes(dataset, tmp_path):
    pytest.importorskip("apache_beam", reason=NO_BEAM)
    report = build(dataset.name, tmp_path, beam=IN_THIS_PROCESS, **dataset.arguments)
    assert report == dataset.report
    for path in dataset.directory.iterdir():
        assert (tmp_path / path.relative_to(dataset.data_dir)).read_bytes() == path.read_bytes()


def test_finished_dataset_is_left_alone(dataset, monkeypatch):
    monkeypatch.setattr(
        "fashion_jax.datasets.building.build._prepare", lambda builder: pytest.fail("built again")
    )
    assert build(dataset.name, dataset.data_dir, **dataset.arguments) == dataset.report


def test_report_beside_the_records_says_how_they_were_built(dataset):
    stored = json.loads((dataset.directory / "build_report.json").read_text())
    assert stored == dataset.report.to_json()
    manual_dir = dataset.arguments.get("manual_dir")
    assert stored["manual_dir"] == (manual_dir and str(manual_dir))
    options = open_dataset(dataset.name, dataset.data_dir).build_options()
    wanted = {**dataset.expected.options, "seed": 0, "splits": ", ".join(SPLITS)}
    assert {name: options[name] for name in wanted} == {k: str(v) for k, v in wanted.items()}


OF_A_RAW_COPY = {name: each for name, each in DATASETS.items() if each.write}


@pytest.mark.parametrize("name", OF_A_RAW_COPY)
def test_without_a_place_of_the_raw_copy(name):
    error, message = DATASETS[name].needs
    with pytest.raises(error, match=f"{name} {message}"):
        check(name, progress=False)


@pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name, each in OF_A_RAW_COPY.items() for place in each.wrong],
)
def test_wrong_place_of_the_raw_copy(name, place, raw_of):
    expected = DATASETS[name]
    with pytest.raises(expected.error, match=expected.wrong[place]):
        check(name, **expected.arguments(raw_of(name).parent / place))


def part_of_the_copy(raw, folder, paths):
    """A copy that has these files and folders of `raw` only."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(raw / path)
    return folder


@pytest.mark.parametrize("name", [name for name, each in OF_A_RAW_COPY.items() if each.kept])
def test_copy_without_photos(name, raw_of, tmp_path):
    kept, message = DATASETS[name].kept
    folder = part_of_the_copy(raw_of(name), tmp_path / "copy", kept)
    with pytest.raises(DATASETS[name].error, match=message):
        check(name, **DATASETS[name].arguments(folder))


@pytest.mark.parametrize(
    ("name", "lacking"),
    [(name, lacking) for name, each in OF_A_RAW_COPY.items() for lacking in each.lacking],
)
def test_copy_that_lacks_a_list(name, lacking, raw_of, tmp_path):
    raw, expected = raw_of(name), DATASETS[name]
    files = [str(path.relative_to(raw)) for path in raw.rglob("*") if path.is_file()]
    folder = part_of_the_copy(raw, tmp_path, set(files) - set(lacking))
    with pytest.raises(expected.error, match=expected.lacking[lacking]):
        check(name, **expected.arguments(folder))


@pytest.mark.parametrize("name", [name for name, each in OF_A_RAW_COPY.items() if each.test_set])
def test_copy_without_training_photos_can_be_tested_on(name, raw_of, tmp_path):
    whole = raw_of(name)
    folder = part_of_the_copy(whole, tmp_path / "raw", DATASETS[name].test_set)
    arguments = DATASETS[name].arguments(folder)
    with pytest.raises(EmptySplitError, match=r"split train, .* --splits query gallery"):
        build(name, tmp_path / "data", **arguments)
    report = build(name, tmp_path / "data", splits=TEST_SPLITS, **arguments)
    of_whole = check(name, splits=TEST_SPLITS, **DATASETS[name].arguments(whole))
    assert report.counts == of_whole.counts
    train = [sizes for size, sizes in report.published.items() if size.startswith("train")]
    assert train
    assert {sizes[kind] for sizes in train for kind in sizes.keys() - {"published"}} == {0}
