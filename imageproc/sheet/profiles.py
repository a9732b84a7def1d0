"""The product files of known platforms: which of their columns hold pictures, numbers and names.

One entry a platform, first match wins. A name is matched without case, blanks, dots, underscores
and dashes; ``#`` stands for a number, ``*`` for anything. ``needs``: columns that tell the platform
from others with the same image column. ``serial`` and ``title``: the first that is there counts.
``paths``: its image cells may hold paths below the shop's media folder instead of links.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    images: tuple[str, ...]
    serial: tuple[str, ...]
    title: tuple[str, ...]
    needs: tuple[str, ...] = ()
    paths: bool = False


PROFILES = (
    # matrixify.app/documentation/products: Shopify's columns and commands
    Profile(
        "Matrixify",
        images=("Image Src", "Variant Image"),
        serial=("Handle", "ID"),
        title=("Title",),
        needs=("Handle", "Image Command"),
    ),
    # help.shopify.com/manual/products/import-export/using-csv (the header until 2025)
    Profile(
        "Shopify",
        images=("Image Src", "Variant Image"),
        serial=("Handle",),
        title=("Title",),
        needs=("Handle",),
    ),
    # the same page since 2025: the header of the new template
    Profile(
        "Shopify",
        images=("Product image URL", "Variant image URL"),
        serial=("URL handle",),
        title=("Title",),
        needs=("URL handle",),
    ),
    # woocommerce.com/document/product-csv-importer-exporter and the wiki page "Product CSV Import
    # Schema" of its repository: several links in a cell, separated by commas
    Profile(
        "WooCommerce",
        images=("Images",),
        serial=("SKU", "ID"),
        title=("Name",),
        needs=("Type", "SKU", "Name", "Published"),
    ),
    # support.google.com/merchants/answer/7052112, product data specification
    Profile(
        "Google Merchant Center",
        images=(
            "image_link",
            "additional_image_link",
            "additional_image_link#",
            "lifestyle_image_link",
        ),
        serial=("id",),
        title=("title",),
        needs=("id", "title"),
    ),
    # Seller Central, "Inventory file templates": attribute names in the third line
    Profile(
        "Amazon",
        images=("main_image_url", "other_image_url#", "swatch_image_url"),
        serial=("item_sku",),
        title=("item_name",),
        needs=("item_sku",),
    ),
    # Seller Central, "Product templates" since 2023: attribute paths in the header
    Profile(
        "Amazon",
        images=(
            "main_product_image_locator*",
            "other_product_image_locator_#*",
            "swatch_product_image_locator*",
        ),
        serial=("contribution_sku*", "sku"),
        title=("item_name*",),
        needs=("main_product_image_locator*",),
    ),
    # experienceleague.adobe.com, Commerce Admin, "Product attributes" of the data transfer guide
    Profile(
        "Magento 2",
        images=(
            *("base_image", "small_image", "thumbnail_image", "swatch_image"),
            "additional_images",
        ),
        serial=("sku",),
        title=("name",),
        needs=("sku", "base_image"),
        paths=True,
    ),
    # docs.prestashop-project.org, "Importing", and products_import.csv of its repository
    Profile(
        "PrestaShop",
        images=("Image URLs (x,y,z...)", "Image URLs*"),
        serial=("Product ID", "ID", "Reference #"),
        title=("Name",),
        needs=("Active (0/1)",),
    ),
    # ebay.com/help, "File Exchange" and "Seller Hub Reports": several links separated by |
    Profile(
        "eBay",
        images=("PicURL", "Item photo URL"),
        serial=("CustomLabel", "Custom label (SKU)", "ItemID", "Item number"),
        title=("Title",),
        needs=("Title",),
    ),
    # support.bigcommerce.com, "Importing and exporting products": version 2 of the format
    Profile(
        "BigCommerce",
        images=("Product Image URL - #", "Product Image File - #"),
        serial=("Product Code/SKU", "Product SKU", "Product ID"),
        title=("Product Name",),
        needs=("Product Name",),
    ),
    # the same page, version 3
    Profile(
        "BigCommerce",
        images=("Image URL (Import)", "Internal Image URL (Export)"),
        serial=("SKU", "ID"),
        title=("Name",),
        needs=("Item", "Name"),
    ),
    # help.etsy.com, "How to download your listing information"
    Profile(
        "Etsy",
        images=("IMAGE#",),
        serial=("SKU",),
        title=("TITLE",),
        needs=("TITLE", "CURRENCY_CODE", "IMAGE1"),
    ),
    # world.openfoodfacts.org/data, "data-fields.txt"
    Profile(
        "Open Food Facts",
        images=(
            "image_url",
            *("image_front_url", "image_ingredients_url", "image_nutrition_url"),
            "image_packaging_url",
        ),
        serial=("code",),
        title=("product_name", "product_name_*"),
        needs=("code", "image_url"),
    ),
    # help.akeneo.com, "Product import/export": image attributes hold paths or asset links
    Profile(
        "Akeneo",
        images=(
            *("image", "image-*", "image_#", "images", "picture", "picture-*", "photo"),
            *("main_image", "main_image-*", "variation_image", "variation_image-*"),
        ),
        serial=("sku", "identifier", "uuid"),
        title=("name", "name-*", "label-*"),
        needs=("family", "categories"),
        paths=True,
    ),
    # support.wix.com, "Creating a .csv file for Wix Stores"
    Profile(
        "Wix",
        images=("productImageUrl",),
        serial=("handleId", "sku"),
        title=("name",),
        needs=("handleId",),
        paths=True,
    ),
    # support.squarespace.com, "Importing products with a .csv file": links separated by blanks
    Profile(
        "Squarespace",
        images=("Hosted Image URLs",),
        serial=("SKU", "Product ID [Non Editable]"),
        title=("Title",),
    ),
    # support.ecwid.com, "Product CSV import": one column a picture
    Profile(
        "Ecwid",
        images=("product_media_main_image_url", "product_media_gallery_image_url_#"),
        serial=("product_sku", "product_internal_id"),
        title=("product_name",),
    ),
    # docs.shopware.com, "Import/Export"
    Profile(
        "Shopware 6",
        images=("cover_media_url", "cover.media.url", "media"),
        serial=("product_number", "productNumber"),
        title=("name", "translations.DEFAULT.name", "translations.default.name"),
        needs=("product_number",),
    ),
)
