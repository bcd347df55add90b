"""Links to photos, as strangers wrote them down."""

import dataclasses
import pathlib
import re
from collections.abc import Container, Sequence
from urllib.parse import SplitResult, quote, urlsplit

from fashion_jax.errors import FashionJaxError

_KEPT = "!$%&'()*+,/:;=?@[]~"  # characters of a link that may stay as they are
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9.])?|[0-9a-f:.]*:[0-9a-f:.]*")


class BadLinkError(FashionJaxError):
    """A text that is no link to a photo."""


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """Where a photo can be fetched.

    Attributes:
        photo_id: the raw dataset's own name of the photo.
        url: absolute, cleaned by `clean_url`.
    """

    photo_id: str
    url: str


@dataclasses.dataclass(frozen=True)
class LinkList:
    """What a dataset's photos can be collected from.

    A builder's `read_links(manual_dir)` gives it; `None` in its place says that the dataset has no
    links.

    Attributes:
        source: the file that holds the links.
        links: one a photo, in the order of the file.
        problems: what is wrong with other lines, each with its number.
        there: the ids of photos that the raw copy has already.
        folder: where new photos are written.
        journal: the file that takes down what became of each photo.
    """

    source: pathlib.Path
    links: Sequence[Link]
    problems: Sequence[str]
    there: Container[str]
    folder: pathlib.Path
    journal: pathlib.Path


def clean_url(text: str) -> str:
    """A link as it has to be sent.

    Letters outside ASCII, blanks and the like are percent-encoded, the host's in IDNA (RFC 3490);
    what is percent-encoded already stays so. Bytes that were no UTF-8 (surrogate escapes in
    `text`) are encoded as the bytes they are. Fragments, user names and passwords are left out.

    Raises:
        BadLinkError: not an absolute http or https link to a host.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError as error:  # UnicodeError is one
        raise BadLinkError(f"{error}: {_short(text)}") from error
    if parts.scheme not in ("http", "https"):
        raise BadLinkError(f"not an http or https link: {_short(text)}")
    if not _HOST.fullmatch(host):
        raise BadLinkError(f"no host in the link: {_short(text)}")
    name = f"[{host}]" if ":" in host else host
    authority = name if port is None else f"{name}:{port}"
    return f"{parts.scheme}://{authority}{_path_and_query(parts)}"


def host_of(url: str) -> str:
    """Host, and port where there is one, of a cleaned link."""
    return urlsplit(url).netloc


def _path_and_query(parts: SplitResult) -> str:
    path = _quoted(parts.path) or "/"
    return f"{path}?{_quoted(parts.query)}" if parts.query else path


def _quoted(text: str) -> str:
    return quote(text, safe=_KEPT, errors="surrogateescape")


def _short(text: str) -> str:
    shown = ascii(text)  # surrogate escapes cannot be printed
    return shown if len(shown) <= 80 else shown[:77] + "..."
