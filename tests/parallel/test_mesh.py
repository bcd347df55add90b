"""The mesh, sharding rules and hosts' parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from fashion_jax.config import MeshConfig
from fashion_jax.errors import FashionJaxError
from fashion_jax.parallel.hosts import check_batch_size, global_batch
from fashion_jax.parallel.mesh import divides_over_data, make_mesh, shard_tree, tree_shardings


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (MeshConfig(), {"data": 8, "model": 1}),
        (MeshConfig(4, 2), {"data": 4, "model": 2}),
        (MeshConfig(-1, 4), {"data": 2, "model": 4}),
        (MeshConfig(1, -1), {"data": 1, "model": 8}),
    ],
)
def test_mesh_takes_all_devices(config, shape):
    assert dict(make_mesh(config).shape) == shape


@pytest.mark.parametrize("config", [MeshConfig(3, 2), MeshConfig(-1, 3), MeshConfig(16, 1)])
def test_mesh_that_does_not_fit_is_an_error(config):
    with pytest.raises(FashionJaxError, match="does not divide 8 devices"):
        make_mesh(config)


def test_classifier_and_centers_are_divided_and_all_else_is_copied():
    mesh = make_mesh(MeshConfig(4, 2))
    tree = {
        "classifier": {"kernel": jnp.zeros((6, 10))},
        "centers": jnp.zeros((10, 6)),
        "backbone": {"kernel": jnp.zeros((6, 10))},
    }
    specs = jax.tree.map(lambda sharding: sharding.spec, tree_shardings(tree, mesh))
    assert specs["classifier"]["kernel"] == PartitionSpec(None, "model")
    assert specs["centers"] == PartitionSpec("model", None)
    assert specs["backbone"]["kernel"] == PartitionSpec()


def test_a_large_classifier_is_divided_over_all_devices():
    mesh = make_mesh(MeshConfig(4, 2))
    for columns, expected in [(2048, ("model", "data")), (2050, "model"), (2051, None)]:
        kernel = jax.ShapeDtypeStruct((512, columns), jnp.float32)
        spec = tree_shardings({"classifier/kernel": kernel}, mesh)["classifier/kernel"].spec
        assert spec == (PartitionSpec(None, expected) if expected else PartitionSpec())
        assert divides_over_data(spec) == (columns == 2048)


def test_a_sharded_tree_keeps_its_values():
    mesh = make_mesh(MeshConfig(4, 2))
    tree = {"centers": jnp.arange(60.0).reshape(10, 6), "scale": jnp.arange(3.0)}
    sharded = shard_tree(tree, mesh)
    assert {shard.data.shape for shard in sharded["centers"].addressable_shards} == {(5, 6)}
    assert {shard.data.shape for shard in sharded["scale"].addressable_shards} == {(3,)}
    for name, values in tree.items():
        np.testing.assert_array_equal(sharded[name], values)


def test_fsdp_divides_what_is_large_along_its_longest_axis():
    mesh = make_mesh(MeshConfig(4, 2))
    shapes = {
        "classifier/kernel": (512, 1024),
        "centers": (1024, 512),
        "large": (3, 3, 256, 512),
        "odd": (257, 259),
        "small": (512,),
    }
    tree = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
    specs = {name: each.spec for name, each in tree_shardings(tree, mesh, fsdp=True).items()}
    assert specs == {
        "classifier/kernel": PartitionSpec("data", "model"),
        "centers": PartitionSpec("model", "data"),
        "large": PartitionSpec(None, None, None, "data"),
        "odd": PartitionSpec(),
        "small": PartitionSpec(),
    }


def test_an_odd_number_of_identities_stays_whole():
    mesh = make_mesh(MeshConfig(4, 2))
    shardings = tree_shardings({"centers": jnp.zeros((11, 6))}, mesh)
    assert shardings["centers"].spec == PartitionSpec()


def test_batch_is_divided_over_the_data_axis():
    mesh = make_mesh(MeshConfig(4, 2))
    values = np.arange(8, dtype=np.int32)
    batch = global_batch({"identity": values}, mesh)["identity"]
    np.testing.assert_array_equal(np.asarray(batch), values)
    assert {shard.data.shape for shard in batch.addressable_shards} == {(2,)}


def test_batch_that_devices_cannot_divide_names_the_field():
    with pytest.raises(FashionJaxError, match=r"evaluation\.batch_size is 12.* 8, such as 8 or 16"):
        check_batch_size(12, make_mesh(MeshConfig()), "evaluation.batch_size")
    with pytest.raises(FashionJaxError, match="a multiple of 8, such as 8, or set"):
        check_batch_size(3, make_mesh(MeshConfig()), "evaluation.batch_size")
