"""From built datasets to batches: records, the P×K plan, augmentations, loaders."""
