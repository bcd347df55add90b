"""Street2Shop's list of links: `photos/photos.txt`, lines such as `000000007,http://…`."""

import codecs
import pathlib
import re
from collections.abc import Iterator

from fashion_jax.datasets.download.links import BadLinkError, Link, LinkList, clean_url, quoted
from fashion_jax.errors import FashionJaxError

from .layout import LayoutError, photo_name, scan_photos

_LIST = "photos/photos.txt"
_JOURNAL = "photos/download_journal.jsonl"
_NEW_PHOTOS = "images"
_LINE = re.compile(r'"?(\d{1,12})"?\s*,(.*)', re.ASCII)  # links have commas in them, too
_SHOWN = 10


class LinkListError(FashionJaxError):
    """A list of links without a single good one."""


def read_links(manual_dir: pathlib.Path | None) -> LinkList:
    """Reads the list, and looks which photos are there.

    Blank lines and lines that say the same again are passed over. Of two links for a photo the
    first counts; the second, and lines that cannot be understood, are problems.

    Raises:
        LayoutError: `manual_dir` is not given, or has no list of links.
        LinkListError: there is no good link in it.
    """
    if manual_dir is None:
        raise LayoutError("street2shop needs --manual_dir, the folder of its raw copy")
    path = manual_dir / _LIST
    urls: dict[str, str] = {}
    problems: list[str] = []
    try:
        for number, line in enumerate(_lines(path), start=1):
            if line.strip():
                _take_in(number, line.strip(), urls, problems)
    except OSError as error:
        raise LayoutError(
            f"cannot read the list of links {path}: {error.strerror}; it comes with the lists of "
            "Street2Shop, see data_builders/street2shop/README.md"
        ) from error
    if not urls:
        raise _no_good_link(path, problems)
    return LinkList(
        source=path,
        links=[Link(photo_id, url) for photo_id, url in urls.items()],
        problems=problems,
        there=scan_photos(manual_dir),
        folder=manual_dir / _NEW_PHOTOS,
        journal=manual_dir / _JOURNAL,
    )


def _lines(path: pathlib.Path) -> Iterator[str]:
    """Lines of any encoding: bytes that are no UTF-8 come as surrogate escapes."""
    with path.open("rb") as file:
        start = file.read(2)
    wide = start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding, errors = ("utf-16", "replace") if wide else ("utf-8-sig", "surrogateescape")
    with path.open(encoding=encoding, errors=errors) as file:
        yield from file


def _take_in(number: int, line: str, urls: dict[str, str], problems: list[str]) -> None:
    match = _LINE.fullmatch(line)
    if not match:
        problems.append(f"line {number}: not a photo's number, a comma and a link: {quoted(line)}")
        return
    photo_id = photo_name(int(match[1]))
    try:
        url = clean_url(match[2].strip().strip('"'))
    except BadLinkError as error:
        problems.append(f"line {number}: {error}")
        return
    if urls.setdefault(photo_id, url) != url:
        problems.append(f"line {number}: photo {photo_id} has another link in a line above")


def _no_good_link(path: pathlib.Path, problems: list[str]) -> LinkListError:
    wanted = f"lines such as {photo_name(7)},http://… were expected"
    if not problems:
        return LinkListError(f"{path} is empty: {wanted}")
    more = f"\n  … and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else ""
    return LinkListError(
        f"no good link in the {len(problems):,} line(s) of {path}: {wanted}; first ones:\n  "
        + "\n  ".join(problems[:_SHOWN])
        + more
    )
