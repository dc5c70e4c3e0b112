"""What `polyfield bench` times."""
