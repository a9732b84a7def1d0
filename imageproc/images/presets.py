"""The presets: recipes under a name, and for a sales channel the rule that its recipe follows.

Rules change: each has its source and the year in which it was looked up. Where a channel's own page
could not be read, that is said, and what many independent guides agree on was taken. A channel's
picture is written at quality 85: it compresses what it gets once more.
"""

from __future__ import annotations

from dataclasses import dataclass

from imageproc.images.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Preset:
    """``rule``: what it is for, or what its channel asks for, as a sentence."""

    title: str
    rule: str
    recipe: Recipe


_LISTED = (
    Preset("Catalogue", "Small files for lists and catalogue pages.", Recipe()),
    Preset("Half", "As large as the original.", Recipe(None, None, 50, preset="half")),
    Preset("Balanced", "Clean to the eye, still small.", Recipe(quality=75, preset="balanced")),
    Preset(
        "High",
        "For pages where shoppers zoom in.",
        Recipe(1600, 1600, quality=85, preset="high"),
    ),
    Preset(
        "Thumbnail",
        "For baskets, search results and lists.",
        Recipe(320, 320, quality=60, preset="thumbnail"),
    ),
    # Up to 5000 x 5000 and 20 MB; square pictures look best at 2048 x 2048; zoom from 800 on.
    # Shopify's help ("Product media types") as guides of 2026 quote it; the page itself could not
    # be read. Themes show any shape, so none is forced.
    Preset(
        "Shopify",
        "Shopify recommends 2048 pixels; zoom works from 800 on.",
        Recipe(2048, 2048, quality=85, preset="shopify"),
    ),
    # Main image: pure white (255, 255, 255), the product fills 85 % or more; 500 to 10,000 pixels
    # on the longer side, zoom from 1,000 on. Seller Central's "Product image guide" as guides of
    # 2026 quote it; the page itself is behind a sign-in.
    Preset(
        "Amazon",
        "Pure white, and the product fills 85\N{NO-BREAK SPACE}%; zoom works from 1,000 pixels on.",
        Recipe(2000, 2000, quality=85, preset="amazon", fit="pad", trim=20, margin=7.5),
    ),
    # Recommended 1500 x 1500; at most 64 megapixels and 16 MB; pictures must not be enlarged, so
    # this one is not padded. 500 x 500 are the minimum from January 2027 on, 250 for clothes and
    # 100 else before. https://support.google.com/merchants/answer/6324350 (read 2026; the coming
    # minimum as guides of 2026 quote it).
    Preset(
        "Google Merchant",
        "Google recommends 1500 pixels, and refuses pictures that were enlarged.",
        Recipe(1500, 1500, quality=85, preset="google-merchant"),
    ),
    # At least 500 pixels on the longer side, and no added borders:
    # https://www.ebay.com/help/policies/listing-policies/picture-policy?id=4370 (read 2026).
    # 1600 is what eBay recommends by guides of 2013 to 2026.
    Preset(
        "eBay",
        "At least 500 pixels, 1600 recommended; no added borders.",
        Recipe(1600, 1600, quality=85, preset="ebay"),
    ),
    # 2,000 pixels, by guides of 2026, which differ on whether that is the longer or the shorter
    # side; here the shorter one of a 4:3 picture. Etsy's own page on sizes could not be read.
    Preset(
        "Etsy",
        "2,000 pixels on the shorter side of a 4:3 picture.",
        Recipe(2667, 2667, quality=85, preset="etsy"),
    ),
)
PRESETS: dict[str, Preset] = {each.recipe.preset: each for each in _LISTED}
