"""Built-in data, made by code."""
