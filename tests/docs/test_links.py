"""Links between pages lead somewhere in the repository, and so do the paths that they name.

`mkdocs build --strict`, in `make check`, checks the links of the built site.
"""

import pkgutil
import re

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, name_of, prose

_LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")
_PATH = re.compile(
    r"`((?:benchmarks|colab|configs|data_builders|docs|tests)/[\w./]+\.(?:py|md|ipynb))`"
)
_NAME = re.compile(r"`((?:fj|fashion_jax)\.[\w.]+)(?:\([^`]*\))?`")
_IN_SOURCES = re.compile(r"\bdocs/[\w/]+\.md")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page):
    for target in _LINK.findall(prose(page)):
        generated = target.startswith("reference/")  # made when the site is built
        if not target.startswith(("http://", "https://")) and not generated:
            assert (page.parent / target).exists(), f"{name_of(page)}: no {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_exist(page):
    missing = [path for path in _PATH.findall(page.read_text()) if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_parts_of_the_package_exist(page):
    groups = ("fashion_jax.datasets", "fashion_jax.backbones")  # of entry points
    for name in set(_NAME.findall(page.read_text())).difference(groups):
        path = re.sub(r"^fj\b", "fashion_jax", name)
        try:
            pkgutil.resolve_name(path)
        except (AttributeError, ImportError) as error:
            raise AssertionError(f"{name_of(page)} names {name}") from error


def test_sources_name_pages_that_exist():
    """Messages and docstrings send people to pages."""
    sources = [
        path
        for folder in ("fashion_jax", "configs", "data_builders", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    ]
    named = {
        (path.relative_to(ROOT).as_posix(), page)
        for path in sources
        for page in _IN_SOURCES.findall(path.read_text())
    }
    assert named
    missing = {
        (path, page) for path, page in named if not (ROOT / page).exists() and "DATASET" not in page
    }
    assert not missing


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert not {page for page in pages if f": {page}\n" not in navigation}
