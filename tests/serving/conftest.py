"""A shop, and a server of photos."""

from tests.datasets.download.conftest import server
from tests.serving.shops import shop

__all__ = ["server", "shop"]
