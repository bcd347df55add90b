import pytest

from fashion_jax.models.backbones import BACKBONES
from tests.training.every_network import assert_trains


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BACKBONES)[1::2])
def test_trains_in_bfloat16_on_eight_devices(name, monkeypatch):
    assert_trains(name, monkeypatch)
