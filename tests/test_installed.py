"""The distribution as users get it: a wheel, installed in an environment of its own."""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.e2e.untrained_run import write_untrained_run
from tests.xla_flags import xla_flags

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "python.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built as pip builds it; without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    flags = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *flags, str(ROOT)], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """An interpreter whose site-packages hold the wheel; other packages are those of this one."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    variables = {"base": str(folder), "platbase": str(folder)}
    site = pathlib.Path(sysconfig.get_path("purelib", "venv", vars=variables))
    zipfile.ZipFile(wheel).extractall(site)
    # A path alone: the .pth files in there, such as that of an editable install, do not count.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return pathlib.Path(sysconfig.get_path("scripts", "venv", vars=variables)) / "python"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, tiny_config, tiny_data_dir):
    """An empty folder but for what the snippets read: a run, photos, a built dataset."""
    folder = tmp_path_factory.mktemp("elsewhere")
    # Without the package that the tests' own network comes from.
    model = dataclasses.replace(tiny_config.model, backbone="resnet18")
    config = dataclasses.replace(tiny_config, model=model)
    write_untrained_run(config, folder / "runs" / "street2shop_small")
    (folder / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    for name in ("coat.jpg", "hat.png"):
        Image.fromarray(pixels).save(folder / "photos" / name)
    (folder / "data").symlink_to(tiny_data_dir)
    return folder


def run(python, code, cwd):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["XLA_FLAGS"] = xla_flags(1)
    done = subprocess.run(
        [str(python), "-c", code], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_takes_one_name_and_has_all_files(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"fashion_jax"}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    for path in tracked.stdout.split():
        room, _, rest = path.partition("/")
        if room in ("configs", "data_builders"):
            path = f"fashion_jax/{room}/{rest}"
        elif room != "fashion_jax":
            continue
        assert path in names


def test_it_is_the_installed_package_that_is_imported(python, workdir):
    code = "import fashion_jax, fashion_jax.configs as c; print(fashion_jax.__file__, c.__file__)"
    places = run(python, code, workdir).split()
    assert all(str(python.parents[1]) in place for place in places)


def test_import_loads_nothing_heavy(python, workdir):
    code = "import sys, fashion_jax; print(*sys.modules)"
    loaded = {name.split(".")[0] for name in run(python, code, workdir).split()}
    assert not loaded & {"jax", "tensorflow_datasets", "orbax", "matplotlib", "scann", "grain"}


def test_every_public_name_can_be_imported(python, workdir):
    code = "import fashion_jax as fj; print(*(type(getattr(fj, n)).__name__ for n in fj.__all__))"
    assert len(run(python, code, workdir).split()) >= 30


def test_builders_of_other_packages_are_found(python, workdir):
    code = "import fashion_jax as fj; print(*fj.available_datasets())"
    assert "street2shop" in run(python, code, workdir)


def test_a_shipped_config_is_found_by_name(python, workdir):
    code = "import fashion_jax as fj; print(fj.load_config('street2shop_small').image.height)"
    assert run(python, code, workdir) == "128\n"


# Trains on the tiny dataset, whatever the page's own config is.
SMALL = (
    '{"image.height": "32", "image.width": "32", "data.identities_per_batch": "4", '
    '"model.backbone": "resnet18", "model.pretrained": "none", '
)


@pytest.mark.parametrize("text", SNIPPETS, ids=range(len(SNIPPETS)))
def test_the_snippets_of_the_page_run(python, workdir, text):
    if "fj.train" in text:
        text = re.sub(r"\{(?=\"(?:data.data_dir|model.backbone)\")", SMALL, text)
    run(python, text, workdir)
