"""The product files of known platforms: which of their columns hold pictures, numbers and names.

One entry a platform, first match wins. A name is matched without case, blanks, dots, underscores
and dashes; ``#`` stands for a number, ``*`` for anything. ``needs``: columns that tell the platform
from others with the same image column; ``A|B``: one of them, for headers in other languages.
``serial`` and ``title``: the first that is there counts. ``paths``: its image cells may hold paths
below the shop's media folder instead of links.
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
    # help.shopify.com/en/manual/products/import-export/using-csv: the header until 2025
    # ("Handle", "Image Src"), the one of the present template ("URL handle", "Product image URL"),
    # and files that mix them. Only Title is required of a new product.
    Profile(
        "Shopify",
        images=("Image Src", "Product image URL", "Variant Image", "Variant image URL"),
        serial=("Handle", "URL handle", "Variant SKU", "SKU"),
        title=("Title",),
        needs=("Handle|URL handle|Title", "Image Src|Product image URL|Variant Image URL|Handle"),
    ),
    # woocommerce.com/document/product-csv-importer-exporter and the wiki page "Product CSV Import
    # Schema" of its repository: several links in a cell, separated by commas. The header is in the
    # language of the shop (translate.wordpress.org, plugin woocommerce); columns can be left out.
    Profile(
        "WooCommerce",
        images=(
            *("Images", "Bilder", "Imágenes", "Immagini", "Afbeeldingen", "Imagens", "Obrazki"),
            "Billeder",
        ),
        serial=("SKU", "Artikelnummer", "UGS", "ID"),
        title=("Name", "Nom", "Nombre", "Nome", "Naam", "Nazwa", "Navn", "Namn"),
        needs=(
            "SKU|Artikelnummer|UGS|ID",
            "Name|Nom|Nombre|Nome|Naam|Nazwa|Navn|Namn",
            "Type|Typ|Tipo|Published|Veröffentlicht|Publié|Publicado|Pubblicato|Gepubliceerd"
            "|Regular price|In stock?|Is featured?|Short description",
        ),
    ),
    # woocommerce.com/document/product-csv-import-suite-column-header-reference
    Profile(
        "WooCommerce",
        images=("images",),
        serial=("sku", "id"),
        title=("post_title",),
        needs=("post_title",),
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
    # Seller Central, "Inventory file templates": attribute names in the third line. The second one
    # has their names in the seller's language, and must not be taken for the header.
    Profile(
        "Amazon",
        images=(
            *("main_image_url", "other_image_url#", "other_image_url", "swatch_image_url"),
            *("main_offer_image", "offer_image#"),
        ),
        serial=("item_sku",),
        title=("item_name",),
        needs=("item_sku",),
    ),
    # Seller Central, "Product templates" since 2023: attribute paths in the header; the names are
    # those of Amazon's product type definitions (developer-docs.amazon.com)
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
    # experienceleague.adobe.com, Commerce Admin, "data-attributes-product" of the guide to data
    # transfer: only sku is required; rows of a store view leave the pictures empty
    Profile(
        "Magento 2",
        images=(
            *("base_image", "small_image", "thumbnail_image", "swatch_image"),
            "additional_images",
        ),
        serial=("sku",),
        title=("name",),
        needs=("sku", "base_image|small_image|thumbnail_image|additional_images"),
        paths=True,
    ),
    # docs.openmage.org and the code of its Mage_ImportExport: Magento 1
    Profile(
        "Magento 1",
        images=("image", "small_image", "thumbnail", "_media_image", "media_gallery"),
        serial=("sku",),
        title=("name",),
        needs=("sku", "_attribute_set|attribute_set|_type|_store|store"),
        paths=True,
    ),
    # docs.prestashop-project.org, "Importing"; products_import.csv of its repository; the guide of
    # version 1.4 ("Images URL")
    Profile(
        "PrestaShop",
        images=("Image URLs (x,y,z...)", "Image URLs*", "Images URL*"),
        serial=("Product ID", "ID", "Reference #", "Reference"),
        title=("Name",),
        needs=("Active (0/1)|Active|Enabled|Reference #|Reference|Image URLs (x,y,z...)",),
    ),
    # ebay.com/help, "File Exchange" and "Seller Hub Reports": several links separated by |
    Profile(
        "eBay",
        images=("PicURL", "Item photo URL"),
        serial=("CustomLabel", "Custom label (SKU)", "ItemID", "Item number"),
        title=("Title", "Titel", "Titre", "Título", "Titolo"),
        needs=("Title|Titel|Titre|Título|Titolo|CustomLabel|Custom label (SKU)|ItemID",),
    ),
    # support.bigcommerce.com, "Importing and exporting products": version 2 of the format
    Profile(
        "BigCommerce",
        images=("Product Image URL - #", "Product Image File - #"),
        serial=("Product Code/SKU", "Product SKU", "Product ID"),
        title=("Product Name",),
        needs=("Product Name",),
    ),
    # support.bigcommerce.com/articles/en_US/Knowledge/Supported-Product-Fields: version 3, pictures
    # in rows of their own (Item: Image)
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
    # world.openfoodfacts.org/data, "data-fields.txt": tab-separated. The small pictures
    # (image_small_url) are copies, and stay as they are.
    Profile(
        "Open Food Facts",
        images=(
            "image_url",
            *("image_front_url", "image_ingredients_url", "image_nutrition_url"),
            "image_packaging_url",
        ),
        serial=("code",),
        title=("product_name", "product_name_*"),
        needs=("code", "image_url|image_front_url"),
    ),
    # github.com/akeneo/pim-docs, "product.rst" and "product_model.rst" of the import formats:
    # attributes are named by the owner, with a locale and a channel behind; images are paths
    Profile(
        "Akeneo",
        images=(
            *("image", "image-*", "image_#", "images", "picture", "picture-*", "photo"),
            *("*_image", "*_image-*", "*_image_#", "*_picture", "*_picture-*"),
        ),
        serial=("sku", "identifier", "code", "uuid"),
        title=("name", "name-*", "label-*", "*_name", "*_name-*"),
        needs=("family|family_variant", "categories"),
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
