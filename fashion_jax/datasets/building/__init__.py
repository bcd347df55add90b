"""What all dataset builders share: reading lists, cropping, counting, writing records."""
