"""A server in a process of its own, with a model that needs no network.

python -m tests.serving.server.serving_process INDEX
"""

import logging
import sys

from fashion_jax.serving.server import server, service
from tests.serving.server.conftest import TOKEN, ColourModel

if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO, force=True)
    service.load_model = lambda workdir: ColourModel()
    server.serve("a run", {"shop": sys.argv[1]}, port=0, token=TOKEN, max_requests=16)
