"""Optional dependencies are extras; the error for a missing one names its extra."""

import subprocess
import sys

import pytest

from fashion_jax.errors import FashionJaxError, needs_extra


def test_the_error_names_package_and_extra():
    expected = r"no_such_package .* 'fashion-jax\[some\]'"
    with pytest.raises(FashionJaxError, match=expected), needs_extra("some"):
        import no_such_package  # noqa: F401


@pytest.mark.parametrize("package", ["aiohttp", "yarl", "tenacity"])
def test_a_download_names_its_extra(package, tmp_path):
    code = (
        f"import sys; sys.modules[{package!r}] = None; from fashion_jax.cli import main; "
        f"sys.exit(main(['data', 'download', '--dataset=street2shop', '--manual_dir={tmp_path}']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{package} is not installed" in done.stderr
    assert "pip install 'fashion-jax[download]'" in done.stderr
    assert "Traceback" not in done.stderr
