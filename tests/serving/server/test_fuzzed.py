"""Requests made from the API's own description: nothing makes the server fail."""

import pytest
from hypothesis import HealthCheck, given, settings

from fashion_jax.serving.server.server import make_app
from tests.serving.server.conftest import TOKEN

schemathesis = pytest.importorskip(
    "schemathesis", reason="SKIPPED FOR WANT OF SCHEMATHESIS: the API was not fuzzed"
)
pytestmark = pytest.mark.slow

# What a description cannot say (an unknown product, bytes that are no photo) is refused rightly.
LEFT_OUT = ("positive_data_acceptance", "unsupported_method", "ignored_auth")
EXAMPLES = 50


@pytest.fixture
def api(service, tmp_path):
    app = make_app(service, token=TOKEN, marks=tmp_path / "marks.csv")
    return schemathesis.openapi.from_asgi("/api/openapi.json", app, headers={"host": "127.0.0.1"})


OPERATIONS = [
    ("/api/search", "post"),
    ("/api/products/{name}", "get"),
    ("/api/similar/{name}", "get"),
    ("/api/embed", "post"),
    ("/api/catalogues", "get"),
    ("/api/marks", "post"),
    ("/api/reload", "post"),
]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_requests_made_from_the_description(api, path, method):
    headers = {"host": "127.0.0.1", "authorization": f"Bearer {TOKEN}"}
    checks = schemathesis.checks.CHECKS.get_all()
    left_out = [each for each in checks if each.__name__ in LEFT_OUT]
    assert len(left_out) == len(LEFT_OUT)

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=api[path][method].as_strategy())
    def ask(case):
        case.call_and_validate(excluded_checks=left_out, headers=headers)

    ask()


def test_all_operations_are_fuzzed(api):
    found = [(each.ok().path, each.ok().method) for each in api.get_all_operations()]
    assert sorted(found) == sorted(OPERATIONS)
