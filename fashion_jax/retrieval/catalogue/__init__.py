"""A catalogue: embeddings, names and thumbnails of photos, an index of them, and the model card.

```
manifest.json            data folders in use, in order; model card; checksums of all files
data-1a2b3c4d/           a segment: photos written together, never changed afterwards
    embeddings.npy       float32 [rows, dimensions], L2-normalised
    items.jsonl          one photo per line
    thumbnails.array_record
    scann/               index of the segment, if it is ScaNN's
data-5e6f7a8b/
    removed.json         removed rows of the segments
```

It can be moved and copied. New photos become a further segment, removed photos are listed by their
rows, and every change takes effect in a single step, when `manifest.json` is replaced.
"""

from fashion_jax.retrieval.catalogue.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.items import Hit, Item
from fashion_jax.retrieval.catalogue.manifest import CatalogueError

__all__ = ["Catalogue", "CatalogueError", "Hit", "Item"]
