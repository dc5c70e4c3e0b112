"""A trained model -> files that other programs read: models.py is the list, one file each."""
