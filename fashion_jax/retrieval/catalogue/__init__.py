"""A catalogue: photos' embeddings, names and thumbnails, an index of them, and the model's card.

```
manifest.json            which parts count, in order; the model card; a checksum of every file
data-1a2b3c4d/           a segment: photos that were written together, never changed afterwards
    embeddings.npy       float32 [rows, dimensions], L2-normalised
    items.jsonl          one photo a line
    thumbnails.array_record
    scann/               where the segment's index is ScaNN's
data-5e6f7a8b/
    removed.json         rows of the segments that are no longer there
```

It can be moved and copied. Photos are added as further segments, and removed by naming their rows;
`manifest.json` is the one file whose exchange changes what the catalogue is, in a single step.
"""

from fashion_jax.retrieval.catalogue.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.items import Hit, Item
from fashion_jax.retrieval.catalogue.manifest import CatalogueError

__all__ = ["Catalogue", "CatalogueError", "Hit", "Item"]
