"""Fashion visual search in JAX: a street photo in, the shop's own photo of the same product out.

```python
import fashion_jax as fj

model = fj.load_model("runs/street2shop_small")
embeddings = model.embed("photos/")
```

Names are imported when they are first used, so that `import fashion_jax` is quick. docs/python.md
shows them at work and lists the function behind each command.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fashion_jax import losses
    from fashion_jax.config import ExperimentConfig, default_config, load_config
    from fashion_jax.datasets.building.build import available_datasets, build, check
    from fashion_jax.datasets.dataset import open_dataset
    from fashion_jax.datasets.photos import list_photos
    from fashion_jax.errors import FashionJaxError
    from fashion_jax.experiments.evaluate import evaluate_run
    from fashion_jax.inference.card import ModelCard
    from fashion_jax.inference.explain import explain_similarity
    from fashion_jax.inference.export.export import export
    from fashion_jax.inference.model import EmbeddingModel, load_model, load_pretrained_model
    from fashion_jax.metrics.measure import retrieval_metrics
    from fashion_jax.models.backbones import register_backbone
    from fashion_jax.parallel.mesh import make_mesh
    from fashion_jax.retrieval.catalogue import Catalogue, Item
    from fashion_jax.retrieval.catalogue.changes import remove_photos
    from fashion_jax.retrieval.exact import ExactIndex
    from fashion_jax.retrieval.make_index import make_index, open_index
    from fashion_jax.retrieval.query_expansion import augment_database, expand_queries
    from fashion_jax.retrieval.rerank import rerank
    from fashion_jax.retrieval.scann_index import ScannIndex
    from fashion_jax.retrieval.whitening import Whitening
    from fashion_jax.serving.build_index import add_files, add_split, build_index
    from fashion_jax.serving.client import Client
    from fashion_jax.serving.duplicates import find_duplicates
    from fashion_jax.serving.new_photos import find_photos
    from fashion_jax.serving.reembed import reembed_index
    from fashion_jax.serving.search import search
    from fashion_jax.serving.server.server import serve
    from fashion_jax.serving.sync_index import sync_index
    from fashion_jax.serving.update_index import update_index
    from fashion_jax.training.learner import make_learner
    from fashion_jax.training.loop import train

_MODULES = {
    "Catalogue": "retrieval.catalogue",
    "Client": "serving.client",
    "EmbeddingModel": "inference.model",
    "ExactIndex": "retrieval.exact",
    "ExperimentConfig": "config",
    "FashionJaxError": "errors",
    "Item": "retrieval.catalogue",
    "ModelCard": "inference.card",
    "ScannIndex": "retrieval.scann_index",
    "Whitening": "retrieval.whitening",
    "add_files": "serving.build_index",
    "add_split": "serving.build_index",
    "augment_database": "retrieval.query_expansion",
    "available_datasets": "datasets.building.build",
    "build": "datasets.building.build",
    "build_index": "serving.build_index",
    "check": "datasets.building.build",
    "default_config": "config",
    "evaluate_run": "experiments.evaluate",
    "expand_queries": "retrieval.query_expansion",
    "explain_similarity": "inference.explain",
    "export": "inference.export.export",
    "find_duplicates": "serving.duplicates",
    "find_photos": "serving.new_photos",
    "list_photos": "datasets.photos",
    "load_config": "config",
    "load_model": "inference.model",
    "load_pretrained_model": "inference.model",
    "make_index": "retrieval.make_index",
    "make_learner": "training.learner",
    "make_mesh": "parallel.mesh",
    "open_dataset": "datasets.dataset",
    "open_index": "retrieval.make_index",
    "reembed_index": "serving.reembed",
    "register_backbone": "models.backbones",
    "remove_photos": "retrieval.catalogue.changes",
    "rerank": "retrieval.rerank",
    "retrieval_metrics": "metrics.measure",
    "search": "serving.search",
    "serve": "serving.server.server",
    "sync_index": "serving.sync_index",
    "train": "training.loop",
    "update_index": "serving.update_index",
}

__all__ = [
    "Catalogue",
    "Client",
    "EmbeddingModel",
    "ExactIndex",
    "ExperimentConfig",
    "FashionJaxError",
    "Item",
    "ModelCard",
    "ScannIndex",
    "Whitening",
    "add_files",
    "add_split",
    "augment_database",
    "available_datasets",
    "build",
    "build_index",
    "check",
    "default_config",
    "evaluate_run",
    "expand_queries",
    "explain_similarity",
    "export",
    "find_duplicates",
    "find_photos",
    "list_photos",
    "load_config",
    "load_model",
    "load_pretrained_model",
    "losses",
    "make_index",
    "make_learner",
    "make_mesh",
    "open_dataset",
    "open_index",
    "reembed_index",
    "register_backbone",
    "remove_photos",
    "rerank",
    "retrieval_metrics",
    "search",
    "serve",
    "sync_index",
    "train",
    "update_index",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name == "losses":
        return importlib.import_module("fashion_jax.losses")
    if name not in _MODULES:
        raise AttributeError(f"module 'fashion_jax' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fashion_jax.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
