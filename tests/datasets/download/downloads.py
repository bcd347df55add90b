"""Downloads of tests: lists of links, runs, what they left."""

import dataclasses
import json

from fashion_jax.datasets.download.download import download
from fashion_jax.datasets.download.options import DownloadOptions

# Patient enough for a busy machine.
OPTIONS = DownloadOptions(
    timeout=30.0,
    retries=2,
    backoff=0.01,
    longest_wait=5.0,
    max_bytes=200_000,
    allow_private_hosts=True,
)


def write_links(folder, links):
    (folder / "photos").mkdir(exist_ok=True)
    lines = [f"{number:09d},{link}\n" for number, link in enumerate(links, start=1)]
    (folder / "photos" / "photos.txt").write_text("".join(lines))


def fetch(folder, links, **changes):
    write_links(folder, links)
    changed = dataclasses.replace(OPTIONS, **changes)
    return download("street2shop", folder, changed, progress=False)


def journal(folder):
    path = folder / "photos" / "download_journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def files(folder):
    return sorted(path.name for path in (folder / "images").iterdir())


def outcome(server, folder, *answers, **changes):
    """The journal's line for one photo that gets these answers."""
    report = fetch(folder, [server.on("/1.jpg", *answers)], **changes)
    (line,) = journal(folder)
    assert files(folder) == ([line["file"]] if line["outcome"] == "fetched" else [])
    assert report.fetched == (line["outcome"] == "fetched")
    return line
