"""The presets keep the rules of their channels."""

from __future__ import annotations

import pytest

from imageproc.images.presets import PRESETS
from imageproc.images.recipe import Recipe
from tests.images.compress.files import opened, rendition
from tests.images.compress.test_fit import WHITE, corners, filled, product_on
from tests.support import pictures

BOXES = {
    "catalog": (800, 30),
    "half": (None, 50),
    "balanced": (800, 75),
    "high": (1600, 85),
    "thumbnail": (320, 60),
    "shopify": (2048, 85),
    "amazon": (2000, 85),
    "google-merchant": (1500, 85),
    "ebay": (1600, 85),
    "etsy": (2667, 85),
}


def test_the_presets_that_the_documents_name() -> None:
    recipes = {name: preset.recipe for name, preset in PRESETS.items()}
    assert {name: (each.max_width, each.quality) for name, each in recipes.items()} == BOXES
    assert all(each.max_width == each.max_height for each in recipes.values())
    assert [name for name, each in recipes.items() if each.is_exact] == ["amazon"]
    assert (recipes["catalog"], recipes["half"].to_dict()) == (
        Recipe(),
        Recipe(None, None, 50, preset="half").to_dict(),
    )


@pytest.mark.parametrize("size", [(900, 700), (3000, 1000)])
def test_amazon_gets_a_white_square_that_the_product_fills(size: tuple[int, int]) -> None:
    drawn = product_on(WHITE, 3, size)
    result = rendition(pictures.encoded(drawn, "JPEG", quality=92), PRESETS["amazon"].recipe)
    shown = opened(result.data)
    assert (shown.size, corners(shown)) == ((2000, 2000), {WHITE})
    assert filled(shown, WHITE) == pytest.approx(0.85, abs=0.01)
