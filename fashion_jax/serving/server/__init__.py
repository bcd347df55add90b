"""`fashion-jax serve`: a page and an HTTP API that search catalogues.

A photo's way: `uploads` reads it, `batcher` embeds it together with those of other requests,
`service` searches the catalogue, `api` answers as JSON and `page` as HTML. `guard` stands before
all of them.
"""
