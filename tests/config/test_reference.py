"""The reference of config fields: one row for each, with a meaning."""

import dataclasses

import pytest

from fashion_jax.config import ExperimentConfig, from_nested_dict, to_nested_dict
from fashion_jax.config.reference import config_reference, page

ROWS = config_reference()


def test_one_row_for_each_field():
    fields = [
        f"{section}.{field}"
        for section, values in to_nested_dict(ExperimentConfig()).items()
        for field in values
    ]
    assert [row.name for row in ROWS] == fields


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_field_has_a_meaning(row):
    assert row.meaning.endswith(".")
    assert not row.meaning.startswith(("of ", "that ", "to ", "see "))


def test_defaults_are_allowed():
    sections: dict[str, dict[str, object]] = {}
    for row in ROWS:
        section, field = row.name.split(".")
        sections.setdefault(section, {})[field] = row.default
    assert from_nested_dict(sections) == ExperimentConfig()


def test_type_default_bounds_and_meaning():
    by_name = {row.name: row for row in ROWS}
    assert dataclasses.astuple(by_name["data.threads"]) == (
        "data.threads",
        "int",
        2,
        "an integer >= 1",
        "reading threads in each process.",
    )
    assert by_name["loss.triplet_margin"].type == "float | None"
    assert by_name["optimizer.milestones"].type == "tuple[float, ...]"
    assert by_name["mining.anchors"].allowed == "one of 'any', 'street'"


def test_page_has_a_table_for_each_section():
    text = page()
    for section in to_nested_dict(ExperimentConfig()):
        assert f"\n## `{section}`\n" in text
    assert all(f"| `{row.name}` " in text for row in ROWS)
