"""Turns of hosts, and hosts that are given up; without connections, on a simulated clock."""

import asyncio
import collections
import datetime
import pathlib

import numpy as np
import pytest
from tqdm.auto import tqdm

from fashion_jax.datasets.download import scheduler
from fashion_jax.datasets.download.fetch import (
    Answer,
    FetchError,
    follow_redirect,
    http_failure,
    retry_after,
)
from fashion_jax.datasets.download.journal import Entry, Journal
from fashion_jax.datasets.download.links import Link, LinkList, host_of
from fashion_jax.datasets.download.options import DownloadOptions
from fashion_jax.datasets.download.report import DownloadReport
from fashion_jax.datasets.download.scheduler import RemoteHost


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time passes at once when every task sleeps."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        select = self._selector.select

        def skip(timeout):
            assert timeout is not None, "every task waits for another one"
            self.now += timeout
            return select(0)

        self._selector.select = skip

    def time(self):
        return self.now


class KeptJournal(Journal):
    def __init__(self):
        self.entries = []

    def write(self, entry):
        self.entries.append(entry)


class FakeWeb:
    """Hosts without connections; `a1` is a photo of host a.

    Attributes:
        answers: by photo, one for each request, the last repeated: the seconds that it takes, the
            photo to go to instead, or an error. By default it is there at once.
        asked: time and photo of all requests, in order.
        most_at_once: requests that were under way together, by host.
        entries: outcomes, in order.
    """

    def __init__(self, monkeypatch):
        self.answers = {}
        self.asked = []
        self.most_at_once = collections.Counter()
        self.journal = KeptJournal()
        self.entries = self.journal.entries
        self._active = collections.Counter()
        monkeypatch.setattr(scheduler, "get", self._get)
        monkeypatch.setattr(scheduler.Scheduler, "_store", self._store)

    def fetch(self, *photos, backoff=0.0, **changes):
        """Fetch photos; return what was requested, in order."""
        nowhere = pathlib.Path("nowhere")
        links = [Link(photo, url_of(photo)) for photo in photos]
        report = DownloadReport("fake", LinkList(nowhere, links, [], set(), nowhere, nowhere))
        options = DownloadOptions(backoff=backoff, **changes)
        with asyncio.Runner(loop_factory=Clock) as runner, tqdm(disable=True) as bar:
            runner.run(scheduler.Scheduler(links, options, report, self.journal, bar).run())
        return [photo for _, photo in self.asked]

    def times(self, photo):
        return [time for time, each in self.asked if each == photo]

    async def _get(self, session, url, max_bytes):
        photo = host_of(url)[0] + url.rpartition("/")[2]
        self.asked.append((asyncio.get_running_loop().time(), photo))
        answers = self.answers.get(photo, [0])
        answer = answers[min(len(self.times(photo)), len(answers)) - 1]
        self._active[photo[0]] += 1
        self.most_at_once |= self._active
        await asyncio.sleep(0 if isinstance(answer, str | FetchError) else answer)
        self._active[photo[0]] -= 1
        if isinstance(answer, FetchError):
            raise answer
        return Answer(302, location=url_of(answer)) if isinstance(answer, str) else Answer(200)

    @staticmethod
    async def _store(running, link, url, answer):
        return Entry(link.photo_id, link.url, redirected_to=url)


def url_of(photo):
    return f"http://{photo[0]}.com/{photo[1:]}"


@pytest.fixture
def web(monkeypatch):
    return FakeWeb(monkeypatch)


def passing(**changes):
    return FetchError("timeout", "no answer", **changes)


def gone():
    return FetchError("http_404", permanent=True, status=404)


def test_hosts_take_turns(web):
    photos = ["a1", "a2", "a3", "b1", "c1", "c2"]
    asked = web.fetch(*photos, per_host=5, concurrency=1)
    assert asked == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert web.most_at_once == {"a": 1, "b": 1, "c": 1}


def test_a_host_has_few_connections(web):
    web.answers = {"a1": [3], "a2": [4], "a3": [3], "b1": [9]}
    assert web.fetch("a1", "a2", "a3", "a4", "b1", per_host=2) == ["a1", "b1", "a2", "a3", "a4"]
    assert [time for time, _ in web.asked] == [0, 0, 0, 3, 4]
    assert web.most_at_once == {"a": 2, "b": 1}


def test_what_waits_for_another_attempt_keeps_no_other_waiting_and_then_comes_first(web):
    web.answers = {"a1": [passing(), 0], "a2": [9]}
    asked = web.fetch("a1", "a2", "a3", per_host=1, backoff=1.0)
    assert asked == ["a1", "a2", "a1", "a3"]
    assert [time for time, _ in web.asked] == [0, 0, 9, 9]


def test_what_waited_comes_first_again_and_again(web):
    web.answers = {"a1": [passing(), 0], "a2": [9], "a3": [passing(), 0], "a4": [9]}
    asked = web.fetch("a1", "a2", "a3", "a4", "a5", "a6", per_host=1, backoff=1.0)
    assert asked == ["a1", "a2", "a1", "a3", "a4", "a3", "a5", "a6"]


def test_pauses_between_attempts_grow(web):
    web.answers = {"a1": [passing()]}
    web.fetch("a1", backoff=8.0, retries=5, longest_wait=100.0)
    pauses = np.diff(web.times("a1"))
    for pause, least in zip(pauses, [8, 16, 32, 64, 100], strict=True):
        assert least - 1e-9 <= pause <= min(least + 8, 100) + 1e-9  # differences of clocks
    assert [(entry.reason, entry.attempts) for entry in web.entries] == [("timeout", 6)]


def test_a_paused_host_lets_others_pass(web):
    web.answers = {
        "a1": [passing(wait=3.0), 0],
        "a2": [passing(wait=2.0), 0],  # the longer pause counts
        "b1": [1],
        "b2": [2],
    }
    asked = web.fetch("a1", "a2", "a3", "b1", "b2", "b3", per_host=2)
    assert asked[:5] == ["a1", "b1", "a2", "b2", "b3"]
    assert {*asked[5:7]} == {"a1", "a2"}  # both paused until the same moment
    assert asked[7:] == ["a3"]
    assert [time for time, _ in web.asked] == [0, 0, 0, 0, 1, 3, 3, 3]
    assert {entry.photo: entry.attempts for entry in web.entries} == {
        **{"a1": 2, "a2": 2, "a3": 1},
        **{"b1": 1, "b2": 1, "b3": 1},
    }


def test_a_redirect_waits_for_a_connection_of_the_other_host(web):
    web.answers = {"a1": ["b9"], "a2": [1], "b1": [5]}
    asked = web.fetch("a1", "a2", "a3", "b1", "b2", per_host=1)
    assert asked == ["a1", "b1", "a2", "a3", "b9", "b2"]  # its own host does not wait with it
    assert [time for time, _ in web.asked] == [0, 0, 0, 1, 5, 5]
    assert web.most_at_once == {"a": 1, "b": 1}
    entry = next(each for each in web.entries if each.photo == "a1")
    assert (entry.link, entry.redirected_to) == ("http://a.com/1", "http://b.com/9")


def test_few_photos_wait_for_another_host(web):
    photos = [f"a{number}" for number in range(1, 1000)]
    web.answers = {photo: ["b1"] for photo in photos} | {"b1": [1]}
    asked = web.fetch(*photos, per_host=1)
    assert asked.index("b1") < 3
    redirected = next(n for n, (time, _) in enumerate(web.asked) if time == 1)
    assert redirected < 110
    assert len(web.entries) == 999


def test_relative_redirects():
    visited = ["http://a.com/x/1.jpg"]
    for target in ("../y/2.jpg", "/z?q#f", "//b.com/é"):
        visited.append(follow_redirect(visited, target, max_redirects=3))
    assert visited[1:] == ["http://a.com/y/2.jpg", "http://a.com/z?q", "http://b.com/%C3%A9"]


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        (["1.jpg"], "redirect_loop"),
        (["/2", "1.jpg", "/2"], "redirect_loop"),
        (["/x/1.jpg#top"], "redirect_loop"),
        (["/1", "/2", "/3", "/4"], "too_many_redirects"),
        (["file:///etc/passwd"], "bad_redirect"),
        (["http://[::1"], "bad_redirect"),
        (["gopher://a.com/"], "bad_redirect"),
    ],
)
def test_redirects_that_lead_nowhere(targets, reason):
    visited = ["http://a.com/x/1.jpg"]
    *before, last = targets
    for target in before:
        visited.append(follow_redirect(visited, target, max_redirects=3))
    with pytest.raises(FetchError) as caught:
        follow_redirect(visited, last, max_redirects=3)
    assert caught.value.reason == reason
    assert caught.value.permanent


def host(**options):
    return RemoteHost("a.com", DownloadOptions(**options))


def test_a_host_is_given_up_after_failures_in_a_row():
    failing, other = host(give_up_after=3), host(give_up_after=3)
    for error in (passing(), passing(), gone(), passing(), passing()):
        failing.failed(error)
        failing.check()
    failing.failed(passing())
    assert failing.given_up
    with pytest.raises(FetchError, match=r"host_given_up: a\.com: 3 failures in a row.*timeout"):
        failing.check()
    other.check()


def test_a_host_that_answers_now_and_then_is_not_given_up(web):
    web.answers = {"a1": [passing()], "a3": [passing()], "a5": [passing()]}
    web.fetch("a1", "a2", "a3", "a4", "a5", "a6", per_host=1, retries=0, give_up_after=2)
    assert [entry.reason for entry in web.entries] == ["timeout", None] * 3


def test_an_answer_ends_the_row():
    answering = host(give_up_after=2)
    answering.failed(passing())
    answering.answered()
    answering.failed(passing())
    assert not answering.given_up


@pytest.mark.parametrize(("wait", "given_up"), [(60.0, False), (61.0, True)])
def test_a_host_that_asks_for_a_long_pause_is_left_alone(wait, given_up):
    asking = host(give_up_after=9, longest_wait=60.0)
    asking.failed(FetchError("http_429", wait=wait))
    assert bool(asking.given_up) == given_up


@pytest.mark.parametrize(
    ("status", "permanent", "host_waits"),
    [
        (300, True, False),
        (400, True, False),
        (403, True, False),
        (404, True, False),
        (410, True, False),
        (408, False, False),
        (429, False, True),
        (500, False, False),
        (501, True, False),
        (503, False, True),
        (522, False, False),  # of a network in front of a dead host
        (999, False, False),
    ],
)
def test_which_answers_may_change(status, permanent, host_waits):
    error = http_failure(status, {"Retry-After": "7"})
    assert error.reason == f"http_{status}"
    assert error.permanent == permanent
    assert error.wait == (7.0 if host_waits else None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 90 ", 90.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),  # has passed
        ("-3", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("9" * 400, float("inf")),
    ],
)
def test_retry_after(text, seconds):
    assert retry_after({"Retry-After": text}) == seconds


def test_retry_after_a_date():
    now = datetime.datetime(2015, 10, 21, 7, 27, 30, tzinfo=datetime.UTC)
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, now) == 30.0
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 -0000"}, now) == 30.0
    assert retry_after({}) is None
    assert http_failure(429, {}).wait == 0.0
