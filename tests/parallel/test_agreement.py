"""Hosts that differ are refused, by the names of what differs."""

import pytest

from fashion_jax.parallel import agreement
from fashion_jax.parallel.agreement import DisagreementError, require_agreement, versions
from tests.processes import run_hosts

DISAGREE = """
import os, sys
from fashion_jax.parallel.agreement import DisagreementError, gather_texts, require_agreement
from fashion_jax.parallel.joining import join_job
join_job()
index = os.environ["JAX_PROCESS_ID"]
assert gather_texts("ä" * int(index)) == ["", "ä"]
require_agreement({"jax": "1"})
try:
    require_agreement({"jax": "1", "data": index})
except DisagreementError as error:
    assert "data is '0' on 0 and '1' on 1" in str(error), error
else:
    sys.exit("nobody noticed")
"""


def test_one_host_agrees():
    require_agreement(versions())


def test_differences_are_named(monkeypatch):
    texts = ['{"jax": "1", "data": "a"}', '{"jax": "1", "data": "b"}', '{"jax": "1"}']
    monkeypatch.setattr(agreement, "gather_texts", lambda text: texts)
    with pytest.raises(DisagreementError, match="data is 'a' on 0 and 'b' on 1 and 'missing' on 2"):
        require_agreement({})


@pytest.mark.slow
def test_two_processes_that_differ():
    run_hosts(2, 2, DISAGREE)
