"""Bytes of an image file to a rendition, within a budget of memory and time.

``identify`` names the file before anything decodes it, ``decode`` makes upright sRGB pixels of it,
``encode`` writes them; ``anatomy`` and ``strip`` read a file's structure without decoding.
"""

from imageproc.images.compress.identify import Budget
from imageproc.images.compress.rendition import Rendition, compress
from imageproc.images.recipe import Recipe

__all__ = ["Budget", "Recipe", "Rendition", "compress"]
