"""Pages made from the code hold all of it."""

import argparse
import importlib

import pytest
from commands_page import commands_page, leaf_parsers
from config_page import config_page
from python_page import PACKAGES, public_names
from site_pages import generated_pages, link_pages

from fashion_jax.cli import make_parser
from fashion_jax.config.reference import config_reference
from fashion_jax.datasets.building.build import available_datasets


def test_every_command_and_flag_is_on_the_page():
    page = commands_page()
    sections = {part.split("\n")[0]: part for part in page.split("\n## ")[1:]}
    for parser in leaf_parsers(make_parser()):
        section = sections[parser.prog.removeprefix("fashion-jax ")]
        for action in parser._actions:
            if action.help != argparse.SUPPRESS and action.dest != "help":
                name = (action.option_strings or [action.metavar or action.dest])[0]
                assert f"`{name}" in section


def test_leaf_parsers_are_the_commands_that_run():
    names = [parser.prog for parser in leaf_parsers(make_parser())]
    assert "fashion-jax train" in names
    assert "fashion-jax index build" in names
    assert "fashion-jax index" not in names


def test_every_config_field_has_a_default_and_a_meaning():
    page = config_page()
    for row in config_reference():
        assert f"`{row.name}`" in page
        assert row.meaning in page
        assert row.meaning, f"{row.name} has no line in its docstring's Attributes"


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_found_where_they_are_defined(package):
    module = importlib.import_module(package)
    for name, path in public_names(package).items():
        owner, _, last = path.rpartition(".")
        assert getattr(importlib.import_module(owner), last) is getattr(module, name)


def test_every_builder_has_a_page():
    pages = generated_pages()
    for dataset in available_datasets():
        assert f"reference/datasets/{dataset}.md" in pages


def test_links_between_pages_and_builders():
    page = "[a](../data_builders/catalogue/README.md#options) [b](losses.md)"
    linked = "[a](reference/datasets/catalogue.md#options) [b](losses.md)"
    assert link_pages(page, "extend.md") == linked
    page = "[a](../street2shop/README.md) [b](../../docs/weights.md#inspect-a-file)"
    linked = "[a](street2shop.md) [b](../../weights.md#inspect-a-file)"
    assert link_pages(page, "reference/datasets/catalogue.md") == linked
