"""An image as a page: the field itself where its shaders are written, else tiles."""
