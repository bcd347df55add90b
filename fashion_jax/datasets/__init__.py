"""Built datasets: records, batches, augmentation, loading; building and downloading them."""
