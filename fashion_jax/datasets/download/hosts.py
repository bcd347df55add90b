"""State of one host during a run: its links, its connections, its health.

A list of 424,000 links has hosts with thousands of links that are all dead: waiting for each of
them to time out, several times, would take weeks. Such a host is given up for the run.
"""

import asyncio
import collections

from fashion_jax.datasets.download.fetch import FetchError
from fashion_jax.datasets.download.links import Link
from fashion_jax.datasets.download.options import DownloadOptions

_UNSETTLED = 100  # times `per_host`


class Host:
    """A host that photos are fetched from.

    Attributes:
        links: links that were not requested yet.
        connections: those in use are photos in progress; first come, first served.
        unsettled: bounds the photos that wait for their next attempt or for another host.
        paused_until: time of the event loop before which the host gets no request.
        given_up: why the host is left alone for the rest of the run; empty if it is not.
    """

    def __init__(self, name: str, options: DownloadOptions):
        self.links: collections.deque[Link] = collections.deque()
        self.connections = asyncio.Semaphore(options.per_host)
        self.unsettled = asyncio.Semaphore(_UNSETTLED * options.per_host)
        self.paused_until = 0.0
        self.given_up = ""
        self._name = name
        self._options = options
        self._failures_in_a_row = 0

    def answered(self) -> None:
        """Note an answer from the host; that a photo is gone is one."""
        self._failures_in_a_row = 0

    def failed(self, error: FetchError) -> None:
        """Note a failed attempt, and give the host up if it was one too many."""
        if error.permanent:
            self.answered()
        elif not self.given_up:
            self._failures_in_a_row += 1
            if error.wait is not None and error.wait > self._options.longest_wait:
                self.given_up = f"asked for a pause of {error.wait:,.0f} seconds"
            elif self._failures_in_a_row >= self._options.give_up_after:
                self.given_up = f"{self._failures_in_a_row} failures in a row, the last: {error}"

    def check(self) -> None:
        """Raise `FetchError` if the host was given up."""
        if self.given_up:
            raise FetchError("host_given_up", f"{self._name}: {self.given_up}")

    def pause(self, until: float) -> None:
        """Keep requests from the host until a time of the event loop; the longest pause counts."""
        self.paused_until = max(self.paused_until, until)
