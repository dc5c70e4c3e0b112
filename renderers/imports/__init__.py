"""Other programs' trained models -> ours: models.py is the list, one file each."""
