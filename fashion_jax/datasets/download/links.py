"""Links to photos, as found in the wild."""

import dataclasses
import pathlib
import re
from collections.abc import Container, Sequence
from urllib.parse import quote, urlsplit

from fashion_jax.errors import FashionJaxError

_KEPT = "!$%&'()*+,/:;=?@[]~"  # characters of a link that need no percent-encoding
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9.])?|[0-9a-f:.]*:[0-9a-f:.]*")


class DownloadError(FashionJaxError):
    """Raised when a download cannot start or continue."""


class BadLinkError(DownloadError):
    """Raised for a text that is not a link to a photo."""


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """A photo's address.

    Attributes:
        photo_id: the photo's name in the raw dataset.
        url: absolute URL, as returned by `clean_url`.
    """

    photo_id: str
    url: str


@dataclasses.dataclass(frozen=True)
class LinkList:
    """A dataset's links, returned by `read_links(manual_dir)` of its builder.

    Attributes:
        source: file that holds the links.
        links: one link per photo, in the order of the file.
        problems: one message per unusable line, with its number.
        there: ids of the photos that the raw copy already has.
        folder: directory for new photos.
        journal: file that records the outcome of each photo.
    """

    source: pathlib.Path
    links: Sequence[Link]
    problems: Sequence[str]
    there: Container[str]
    folder: pathlib.Path
    journal: pathlib.Path


def clean_url(text: str) -> str:
    """Return a link in the form in which it is sent.

    Non-ASCII letters, blanks and the like are percent-encoded, the host in IDNA (RFC 3490); what
    is percent-encoded already is kept. Bytes that are not UTF-8 (surrogate escapes in `text`) are
    encoded as the bytes they are. Fragments, user names and passwords are dropped.

    Raises:
        BadLinkError: not an absolute http or https link to a host.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError as error:  # UnicodeError is one
        raise BadLinkError(f"{error}: {quoted(text)}") from error
    if parts.scheme not in ("http", "https"):
        raise BadLinkError(f"not an http or https link: {quoted(text)}")
    if not _HOST.fullmatch(host):
        raise BadLinkError(f"no host in the link: {quoted(text)}")
    name = f"[{host}]" if ":" in host else host
    authority = name if port is None else f"{name}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    path = quote((parts.path or "/") + query, safe=_KEPT, errors="surrogateescape")
    return f"{parts.scheme}://{authority}{path}"


def host_of(url: str) -> str:
    """Host of a cleaned link, with its port where one is given."""
    return urlsplit(url).netloc


def quoted(text: str) -> str:
    """Return the start of a text in quotes, for a message."""
    shown = ascii(text)  # surrogate escapes cannot be printed
    return shown if len(shown) <= 80 else shown[:77] + "..."
