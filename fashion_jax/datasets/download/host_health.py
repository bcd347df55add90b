"""Hosts that do not answer, or do not want to, are given up for a run.

A list of 424,000 links has hosts with thousands of links that are gone altogether: to wait for
each of these links until it times out, several times, would take weeks.
"""

import collections

from fashion_jax.datasets.download.failure import FetchError


class HostHealth:
    """Counts failures in a row by host.

    Args:
        give_up_after: so many in a row, and the host is given up.
        longest_wait: seconds; a host that asks for more is given up as well.
    """

    def __init__(self, give_up_after: int, longest_wait: float):
        self._give_up_after = give_up_after
        self._longest_wait = longest_wait
        self._in_a_row: collections.Counter[str] = collections.Counter()
        self._given_up: dict[str, str] = {}

    def answered(self, host: str) -> None:
        """The host gave an answer that is one, be it that there is no such photo."""
        self._in_a_row.pop(host, None)

    def failed(self, host: str, error: FetchError) -> None:
        """An attempt failed."""
        if error.permanent:
            self.answered(host)
            return
        self._in_a_row[host] += 1
        if error.wait is not None and error.wait > self._longest_wait:
            self._given_up[host] = f"asked for a pause of {error.wait:,.0f} seconds"
        elif self._in_a_row[host] >= self._give_up_after:
            self._given_up[host] = f"{self._in_a_row[host]} failures in a row, the last: {error}"

    def is_given_up(self, host: str) -> bool:
        """Whether the host is to be left alone."""
        return host in self._given_up

    def check(self, host: str) -> None:
        """Lets hosts pass that were not given up.

        Raises:
            FetchError: this one was.
        """
        if host in self._given_up:
            raise FetchError("host_given_up", f"{host}: {self._given_up[host]}")
