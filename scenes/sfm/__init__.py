"""Structure from motion: photographs or a video -> posed images, by pycolmap."""
