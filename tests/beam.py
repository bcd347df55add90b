"""How tests use Apache Beam, which CI installs apart: it holds protobuf below 7."""

NO_BEAM = "SKIPPED FOR WANT OF BEAM: pip install 'fashion-jax[beam]'"
# Beam's own runner; by default, Beam looks for another one on the network first.
IN_THIS_PROCESS = ("runner=FnApiRunner",)
