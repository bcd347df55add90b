"""`fashion-jax serve`: its flags."""

import pytest

from fashion_jax.cli import main
from fashion_jax.cli.serve import _named
from fashion_jax.errors import FashionJaxError
from fashion_jax.serving.server import server as module


@pytest.fixture
def served(monkeypatch):
    """What the command asks for."""
    asked = []
    monkeypatch.setattr(module, "serve", lambda *parts, **options: asked.append((parts, options)))
    return asked


def test_flags_reach_the_server(served, monkeypatch):
    monkeypatch.setenv("FASHION_JAX_TOKEN", "t")
    arguments = ["--workdir", "r", "--index", "a=x", "b=y", "--port", "0", "--max_megabytes", "0.5"]
    assert (
        main(["serve", *arguments, "--root_path", "/search/", "--allow_host", "shop.example"]) == 0
    )
    ((parts, options),) = served
    assert parts == ("r", {"a": "x", "b": "y"})
    assert options["max_bytes"] == 2**19
    assert (options["root_path"], options["hosts"]) == ("/search", ["shop.example"])
    assert (options["token"], options["host"], options["port"]) == ("t", "127.0.0.1", 0)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--port", "-1"),
        ("--port", "65536"),
        ("--max_megabytes", "nan"),
        ("--max_megabytes", "inf"),
        ("--max_requests", "0"),
        ("--timeout", "0"),
    ],
)
def test_values_that_make_no_sense_are_refused(served, capsys, flag, value):
    assert main(["serve", "--workdir", "r", flag, value]) == 2
    assert f"{flag} is {float(value):g}; it has to be" in capsys.readouterr().err
    assert served == []


def test_nothing_to_serve_is_said(capsys, tmp_path):
    assert main(["serve"]) == 2
    assert "name a run (--workdir) or an index" in capsys.readouterr().err
    assert main(["serve", "--index", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_indexes_by_name(tmp_path):
    assert _named([]) is None
    assert _named(["x"]) == "x"
    assert _named(["a=x"]) == {"a": "x"}
    (tmp_path / "a=x").mkdir()
    assert _named([str(tmp_path / "a=x")]) == str(tmp_path / "a=x")
    for wrong in (["x", "y"], ["a=x", "a=y"], ["=x", "b=y"], ["a=", "b=y"]):
        with pytest.raises(FashionJaxError, match="NAME=DIR"):
            _named(wrong)
