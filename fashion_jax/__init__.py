"""Fashion visual search: a street photo in, the shop's own photo of the same product out."""
