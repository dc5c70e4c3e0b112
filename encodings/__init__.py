"""Coordinate encodings.

[*n, d] in [0,1]^d -> features [*n, c]. `EncodingConfig` is the list of them all.
"""

from polyfield.encodings.base import Encoding
from polyfield.encodings.composite import Composite
from polyfield.encodings.plain import PlainEncodingConfig
from polyfield.encodings.sape import Sape

EncodingConfig = PlainEncodingConfig | Composite | Sape

__all__ = ["Encoding", "EncodingConfig"]
