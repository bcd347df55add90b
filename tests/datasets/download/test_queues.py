"""Whose turn it is, and which hosts are given up; no clock, no connection."""

import datetime

import pytest

from fashion_jax.datasets.download.failure import FetchError, http_failure, retry_after
from fashion_jax.datasets.download.host_health import HostHealth
from fashion_jax.datasets.download.host_queues import HostQueues, Job
from fashion_jax.datasets.download.links import Link


def queues(*names, per_host=1):
    """Links such as `a1`: the first of host a."""
    made = HostQueues(per_host)
    for name in names:
        made.add(Link(name, f"http://{name[0]}.com/{name[1:]}"))
    return made


def take_all(made, now=0.0):
    jobs = []
    while job := made.take(now):
        jobs.append(job)
    return jobs


def names(jobs):
    return [job.link.photo_id for job in jobs]


def test_hosts_take_turns():
    made = queues("a1", "a2", "a3", "b1", "c1", "c2", per_host=5)
    assert names(take_all(made)) == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert len(made) == 0


def test_a_host_has_few_connections():
    made = queues("a1", "a2", "a3", "a4", "b1", per_host=2)
    assert names(take_all(made)) == ["a1", "b1", "a2"]
    assert len(made) == 2
    made.release("a.com")
    assert names(take_all(made)) == ["a3"]


def test_what_is_put_back_comes_when_its_time_has_come_and_first():
    made = queues("a1", "a2")
    job = made.take(0.0)
    made.put_back(job, when=5.0)
    made.release("a.com")
    assert made.next_wake() == 5.0
    assert names([made.take(4.9)]) == ["a2"]
    made.release("a.com")
    assert made.take(4.9) is None
    assert len(made) == 1
    assert made.take(5.0) is job
    assert made.next_wake() is None
    assert len(made) == 0


def test_a_paused_host_lets_others_pass():
    made = queues("a1", "a2", "b1")
    made.pause("a.com", until=3.0)
    made.pause("a.com", until=2.0)  # the longer pause counts
    assert names(take_all(made, now=2.5)) == ["b1"]
    assert names(take_all(made, now=3.0)) == ["a1"]


def test_a_redirect_waits_for_a_connection_of_the_other_host():
    made = queues("a1", "b1")
    first, _ = take_all(made)
    first.redirect("http://b.com/moved", max_redirects=3)
    made.put_back(first)
    made.release("a.com")
    assert made.take(0.0) is None
    made.release("b.com")
    assert made.take(0.0) is first
    assert first.link.url == "http://a.com/1"


def job(url="http://a.com/x/1.jpg"):
    return Job(Link("1", url), url)


def test_relative_redirects():
    moved = job()
    moved.redirect("../y/2.jpg", max_redirects=3)
    moved.redirect("/z?q#f", max_redirects=3)
    moved.redirect("//b.com/é", max_redirects=3)
    assert moved.url == "http://b.com/%C3%A9"
    assert moved.visited == ("http://a.com/x/1.jpg", "http://a.com/y/2.jpg", "http://a.com/z?q")


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
    moved = job()
    *before, last = targets
    for target in before:
        moved.redirect(target, max_redirects=3)
    with pytest.raises(FetchError) as caught:
        moved.redirect(last, max_redirects=3)
    assert caught.value.reason == reason
    assert caught.value.permanent


PASSING = FetchError("timeout", "no answer")
GONE = FetchError("http_404", permanent=True, status=404)


def test_a_host_is_given_up_after_failures_in_a_row():
    health = HostHealth(give_up_after=3, longest_wait=60.0)
    for error in (PASSING, PASSING, GONE, PASSING, PASSING):
        health.failed("a.com", error)
        health.check("a.com")
    health.failed("a.com", PASSING)
    assert health.is_given_up("a.com")
    with pytest.raises(FetchError, match=r"host_given_up: a\.com: 3 failures in a row.*timeout"):
        health.check("a.com")
    health.check("b.com")


def test_an_answer_ends_the_row():
    health = HostHealth(give_up_after=2, longest_wait=60.0)
    health.failed("a.com", PASSING)
    health.answered("a.com")
    health.failed("a.com", PASSING)
    assert not health.is_given_up("a.com")


@pytest.mark.parametrize(("wait", "given_up"), [(60.0, False), (61.0, True)])
def test_a_host_that_asks_for_a_long_pause_is_left_alone(wait, given_up):
    health = HostHealth(give_up_after=9, longest_wait=60.0)
    health.failed("a.com", FetchError("http_429", wait=wait))
    assert health.is_given_up("a.com") == given_up


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
    assert (error.permanent, error.host_waits) == (permanent, host_waits)
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
    assert retry_after({}) is None
