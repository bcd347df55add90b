"""Collectives and costs read from compiled programs, and topologies from text."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from fashion_jax.config import MeshConfig
from fashion_jax.errors import FashionJaxError
from fashion_jax.parallel.chips import CHIPS, parse_topology
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.parallel.program_costs import Collective, count_collectives, program_costs

TEXT = """
  %all-reduce.1 = f32[256]{0} all-reduce(%x), channel_id=1, replica_groups=[1,4]<=[4], to_apply=%a
  %all-reduce.2 = (f32[100]{0}, bf16[50,2]{1,0}) all-reduce(%y, %z), replica_groups={{0,1},{2,3}}
  %ag = (bf16[8,4]{1,0}, bf16[32,4]{1,0}) all-gather-start(%x), replica_groups=[1,4]<=[4]
  %agd = bf16[32,4]{1,0} all-gather-done(%ag)
  ROOT %rs = f32[64]{0:T(256)} reduce-scatter(%y), replica_groups=[2,2]<=[4], dimensions={0}
  %cp = f32[10]{0} collective-permute(%x), source_target_pairs={{0,1}}
  %fused = f32[10]{0} fusion(%all-reduce.1), kind=kLoop
"""


def test_collectives_by_hand():
    assert count_collectives(TEXT, 4) == {
        # 2 × 3/4 of 1,024 bytes, and 2 × 1/2 of 600.
        "all-reduce": Collective(2, 1024 + 600, 1536 + 600),
        "all-gather": Collective(1, 256, 192),
        "reduce-scatter": Collective(1, 256, 256),  # half of an operand of 512
        "collective-permute": Collective(1, 40, 40),
    }
    assert count_collectives("", 4) == {}


def test_a_program_of_eight_devices():
    mesh = make_mesh(MeshConfig())
    divided = NamedSharding(mesh, PartitionSpec("data"))
    whole = NamedSharding(mesh, PartitionSpec())
    product = jax.jit(lambda x, y: x @ y, in_shardings=(divided, whole), out_shardings=whole)
    shapes = (
        jax.ShapeDtypeStruct((64, 32), jnp.float32),
        jax.ShapeDtypeStruct((32, 16), jnp.float32),
    )
    costs = program_costs(product.lower(*shapes).compile(), 8)
    assert costs.flops == pytest.approx(2 * 8 * 32 * 16, rel=0.05)
    assert costs.arguments == (8 * 32 + 32 * 16) * 4
    assert costs.collectives == {"all-gather": Collective(1, 64 * 16 * 4, 64 * 16 * 4 * 7 / 8)}
    assert costs.memory >= costs.arguments + 64 * 16 * 4
    assert costs.sent == 64 * 16 * 4 * 7 / 8


@pytest.mark.parametrize(
    ("text", "kind", "count", "is_tpu"),
    [
        ("v5e:4x4", "v5e", 16, True),
        ("v5p:2x2x4", "v5p", 16, True),
        ("gpu:h100x8", "h100", 8, False),
    ],
)
def test_topologies(text, kind, count, is_tpu):
    found = parse_topology(text)
    assert (found.kind, found.count, found.is_tpu) == (kind, count, is_tpu)
    assert found.chip is CHIPS[kind]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v5e", "not a topology; write v5e:4x4"),
        ("gpu:8", "not a topology"),
        ("v5f:4x4", "unknown chip 'v5f'; known: v4, v5e, v5p.*did you mean 'v5"),
        ("gpu:b9000x8", "unknown chip 'b9000'"),
        ("v5e:0x4", "has no chip"),
    ],
)
def test_wrong_topologies(text, said):
    with pytest.raises(FashionJaxError, match=said):
        parse_topology(text)
