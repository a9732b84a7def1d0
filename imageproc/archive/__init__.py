"""Everything that the service holds, in a folder: written by ``export``, read by ``import``.

It takes the service to another database and another storage, SQLite and files or PostgreSQL and S3,
and is a backup that needs neither's tools. The folder:

    archive.json                 what is here (``Manifest``); written last, once all of it is there
    rows/<table>.jsonl.gz        a JSON line of column names, then one of values for each row
    objects.jsonl.gz             a JSON line for each stored object: key, size in bytes, SHA-256
    objects/<key>                the objects; left out where only their list is wanted

Rows are read and written table by table and objects block by block, in constant memory. Tables and
columns are found in the models, so that a new model is exported without a line here.
"""

from imageproc.archive.export import export_to
from imageproc.archive.manifest import ArchiveError, Manifest
from imageproc.archive.restore import import_from
from imageproc.images.store import StoreError

__all__ = ["ArchiveError", "Manifest", "StoreError", "export_to", "import_from"]
