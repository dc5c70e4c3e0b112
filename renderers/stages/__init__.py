"""What a viewer shows: a model in space or on a plane, drawn for any camera."""
