"""A catalogue: embeddings, names and thumbnails of photos, an index of them, and the model card.

```
manifest.json            data folders in use, in order; model card; checksums of all files
data-1a2b3c4d/           a segment: photos written together, never changed afterwards
    embeddings.npy       float32 [rows, dimensions], L2-normalised
    thumbnails.array_record
    scann/               index of the segment, if it is ScaNN's
data-3c4d5e6f/
    items.parquet        what is known of a segment's photos: names, fields, where they come from
data-5e6f7a8b/
    removed.json         removed rows of the segments
next/, reembed/          embeddings of another model; see `generations`
```

It can be moved and copied. New photos become a further segment, removed photos are listed by their
rows, changed fields are a new table of items, and every change takes effect in a single step, when
`manifest.json` is replaced.
"""

from fashion_jax.retrieval.catalogue.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import CatalogueError, Hit, Item, Origin

__all__ = ["Catalogue", "CatalogueError", "Hit", "Item", "ItemTable", "Origin"]
