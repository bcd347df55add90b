"""A server to download from."""

import pytest

from tests.datasets.download.hostile_server import HostileServer


@pytest.fixture
def server():
    with HostileServer() as running:
        yield running
