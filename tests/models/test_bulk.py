"""Many rows in one statement: the database takes all of them, or an error says so."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from imageproc.models import Product
from imageproc.models.bulk import insert_rows, update_rows
from imageproc.models.ids import uuid7_text
from tests.support import build

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
FIELDS = ("id", "request", "row_number", "serial_number", "product_name")


def swallow(serial: str, when: str) -> None:
    """Have the database leave out rows with this serial number, without an error."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                f"CREATE TRIGGER swallow BEFORE {when} ON imageproc_product"
                f" WHEN NEW.serial_number = '{serial}' BEGIN SELECT RAISE(IGNORE); END"
            )
            return
        cursor.execute(
            "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN NULL; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER swallow BEFORE {when} ON imageproc_product FOR EACH ROW"
            f" WHEN (NEW.serial_number = '{serial}') EXECUTE FUNCTION swallow()"
        )


def test_rows_that_the_database_leaves_out_are_an_error() -> None:
    request = build.request(0)
    rows = [(uuid7_text(), str(request.id), number, f"P{number}", "Shoe") for number in range(1, 4)]
    swallow("P2", "INSERT")
    with pytest.raises(IntegrityError, match="2 of 3 rows"), transaction.atomic():
        insert_rows(Product, FIELDS, iter(rows))
    assert not request.products.exists()
    insert_rows(Product, FIELDS, iter([rows[0], rows[2]]))
    insert_rows(Product, FIELDS, iter([]))
    assert list(request.products.values_list("row_number", flat=True)) == [1, 3]


def test_an_update_answers_how_many_rows_it_changed() -> None:
    request = build.request(3)
    products = list(request.products.order_by("row_number"))
    gone = products[2]
    for product in products:
        product.product_name = "Hat"
    Product.objects.filter(id=gone.id).update(serial_number="P9")
    request.images.filter(product=gone).delete()
    gone_id = gone.id
    gone.delete()
    gone.id = gone_id
    assert update_rows(Product, ("product_name",), products) == 2
    assert list(request.products.values_list("product_name", flat=True)) == ["Hat", "Hat"]
    assert update_rows(Product, ("product_name",), []) == 0
