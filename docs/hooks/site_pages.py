"""MkDocs hook: adds the pages that come from the code, and points links into the site.

MkDocs calls `on_files` and `on_page_markdown`; it finds the modules in this folder by itself.
"""

import pathlib
import posixpath
import re
from typing import Any

from commands_page import commands_page
from config_page import config_page
from mkdocs.structure.files import File, Files
from python_page import python_page

ROOT = pathlib.Path(__file__).parents[2]
BUILDERS = ROOT / "data_builders"
DATASETS = "reference/datasets"

# A link from a page in docs/, or from one builder's page to another's.
_BUILDER_LINK = re.compile(r"\]\((?:\.\./)+(?:data_builders/)?(\w+)/README\.md(#[\w-]+)?\)")
# A link from a builder's page to a page in docs/.
_DOCS_LINK = re.compile(r"\]\(\.\./\.\./docs/([\w./]+\.md)(#[\w-]+)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages to those in docs/."""
    for path, text in generated_pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links to files of the repository into links to their pages."""
    return link_pages(markdown, page.file.src_uri)


def generated_pages() -> dict[str, str]:
    """All generated pages: Markdown by path."""
    pages = {
        "reference/commands.md": commands_page(),
        "reference/config.md": config_page(),
        "reference/python.md": python_page(),
    }
    for readme in sorted(BUILDERS.glob("*/README.md")):
        pages[f"{DATASETS}/{readme.parent.name}.md"] = readme.read_text()
    return pages


def link_pages(markdown: str, source: str) -> str:
    """Rewrites links so that they hold on the site.

    Args:
        markdown: a page whose links hold in the repository.
        source: the page's path on the site, such as `catalogue.md`.
    """
    folder = posixpath.dirname(source) or "."

    def to(target: str, anchor: str | None) -> str:
        return f"]({posixpath.relpath(target, folder)}{anchor or ''})"

    markdown = _BUILDER_LINK.sub(lambda m: to(f"{DATASETS}/{m[1]}.md", m[2]), markdown)
    return _DOCS_LINK.sub(lambda m: to(m[1], m[2]), markdown)
