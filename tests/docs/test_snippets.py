"""Every Python snippet of the pages runs, those of a page one after the other."""

import pytest

from tests.docs.pages import DOCS, PAGES, blocks, name_of

pytestmark = pytest.mark.slow

# tests/test_installed.py runs the others, from an installed wheel.
ELSEWHERE = "docs/python.md"
SNIPPETS = {
    name_of(page): [block for block in blocks(page) if block.language.startswith("py")]
    for page in PAGES
    if name_of(page) != ELSEWHERE
}


@pytest.mark.parametrize("page", [name for name, found in SNIPPETS.items() if found])
def test_snippets_of_a_page_run(page, workspace):
    names: dict[str, object] = {"__name__": "snippet"}
    for block in SNIPPETS[page]:
        padded = "\n" * (block.line - 1) + block.code  # so that errors name the page's own line
        exec(compile(padded, page, "exec"), names)


def test_snippets_are_marked_as_python_by_its_name():
    languages = {block.language for found in SNIPPETS.values() for block in found}
    assert languages == {"python"}


def test_metrics_of_the_worked_example_are_those_of_its_table(workspace, capsys):
    (block,) = SNIPPETS["docs/metrics.md"]
    exec(compile(block.code, "docs/metrics.md", "exec"), {})
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines())
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (DOCS / "metrics.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    table = {cells[0].strip("`"): float(cells[1]) for cells in rows if len(cells) == 4}
    assert table.keys() <= printed.keys()
    assert {name: float(printed[name]) for name in table} == table
