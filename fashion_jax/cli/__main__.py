"""`python -m fashion_jax.cli` is `fashion-jax`."""

import sys

from fashion_jax.cli import main

sys.exit(main())
