"""Where the time of a run goes, counted by hand with a clock of our own."""

import itertools
import time

import pytest

from fashion_jax.files import StorageError
from fashion_jax.training import goodput
from fashion_jax.training.goodput import GOODPUT_FILE, Spent, Stopwatch, read_spent


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when they are told to."""

    class Clock:
        now = 100.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(goodput, "time", clock)
    return clock


def run(clock, stopwatch, steps, first=1):
    """Wait 1 s, step 3 s."""

    def photos():
        for step in itertools.count(first):
            clock.now += 1
            yield step

    stopwatch.steps_begin()
    for step in stopwatch.waiting(photos()):
        with stopwatch.counting_if("compile", step == first):
            clock.now += 10 if step == first else 0
        clock.now += 3
        if step == first + steps - 1:
            return step
    raise AssertionError


def test_by_hand(clock, tmp_path):
    stopwatch = Stopwatch(tmp_path, 0, stores=True)
    clock.now += 5
    run(clock, stopwatch, 4)
    # 4 steps of 8 photos in 16 s besides compiling; the start counts in the first report alone.
    found = stopwatch.report(4, 8)
    assert found["speed/photos_per_second"] == pytest.approx(32 / (5 + 16))
    assert found["speed/data_wait"] == pytest.approx(4 / 21)
    with stopwatch.counting("validation"):
        clock.now += 2
    with stopwatch.counting("checkpoints"):
        clock.now += 1
    clock.now += 4
    assert stopwatch.report(6, 8)["speed/photos_per_second"] == pytest.approx(16 / 4)
    spent = stopwatch.spent
    expected = {"start": 5, "compile": 10, "data": 4, "steps": 16, "validation": 2}
    assert spent.seconds == pytest.approx(expected | {"checkpoints": 1, "lost": 0})
    assert spent.goodput == pytest.approx(16 / 38)
    assert str(spent) == (
        "goodput 42.1% of 38.0 s (start 5.0 s, compile 10.0 s, data 4.0 s, steps 16.0 s, "
        "validation 2.0 s, checkpoints 1.0 s)"
    )


def test_steps_that_are_done_again_are_lost(clock, tmp_path):
    stopwatch = Stopwatch(tmp_path, 0, stores=True)
    run(clock, stopwatch, 4)
    stopwatch.report(4, 8)
    stopwatch.close()
    again = Stopwatch(tmp_path, 1, stores=True)  # three of four steps are gone
    run(clock, again, 3, first=2)
    again.report(4, 8)
    spent = again.spent
    assert spent.seconds["steps"] == pytest.approx(12 / 4 + 9)
    assert spent.seconds["lost"] == pytest.approx(9)
    assert (spent.starts, spent.step, spent.steps_done) == (2, 4, 7)
    assert "lost 9.0 s, 2 starts" in str(spent)


def test_other_hosts_store_nothing_and_damage_is_named(tmp_path):
    Stopwatch(tmp_path, 0, stores=False).close()
    assert read_spent(tmp_path) == Spent()
    (tmp_path / GOODPUT_FILE).write_text("{")
    with pytest.raises(StorageError, match="goodput"):
        Stopwatch(tmp_path, 0, stores=True, begin=time.perf_counter())
