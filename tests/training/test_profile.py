"""Traces of some steps of a run."""

import dataclasses
import logging

import jax
import pytest

from fashion_jax.errors import FashionJaxError
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training import profile
from fashion_jax.training.loop import train
from fashion_jax.training.profile import Profiler, Steps, parse_steps


def test_steps_from_text():
    assert parse_steps("20:30") == Steps(20, 30)
    assert parse_steps("5:5") == Steps(5, 5)
    for text in ("20", "30:20", "0:3", "a:b", "steps=20:30"):
        with pytest.raises(FashionJaxError, match="are no steps; write"):
            parse_steps(text)


@pytest.fixture
def traced(monkeypatch):
    """What the profiler was told."""
    told = []
    monkeypatch.setattr(profile.jax.profiler, "start_trace", lambda folder: told.append("start"))
    monkeypatch.setattr(profile.jax.profiler, "stop_trace", lambda: told.append("stop"))
    return told


@pytest.mark.parametrize(
    ("steps", "first", "last", "expected"),
    [
        (Steps(3, 4), 1, 9, [(3, "start"), (4, "stop")]),
        (Steps(3, 6), 5, 9, [(5, "start"), (6, "stop")]),  # resumed within them
        (Steps(3, 20), 1, 9, [(3, "start"), (10, "stop")]),  # ended within them
        (Steps(3, 4), 5, 9, []),
        (None, 1, 9, []),
    ],
)
def test_begins_and_ends(traced, tmp_path, steps, first, last, expected):
    profiler, seen = Profiler(tmp_path, steps), []
    for step in range(first, last + 1):
        profiler.before(step)
        profiler.after(step, ())
        seen += [(step, each) for each in traced]
        traced.clear()
    profiler.close()
    assert seen + [(last + 1, each) for each in traced] == expected


@pytest.mark.slow
def test_a_trace_of_a_run(tiny_config, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    config = dataclasses.replace(
        tiny_config, training=dataclasses.replace(tiny_config.training, epochs=1)
    )
    mesh = make_mesh(config.mesh, jax.devices()[:1])
    train(config, tmp_path, mesh, progress=False, profile=(2, 3))
    assert list(tmp_path.glob("profile/plugins/profile/*/*.xplane.pb"))
    assert f"trace in {tmp_path / 'profile'}: xprof --logdir" in caplog.text
