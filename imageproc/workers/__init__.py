"""django-q2, made safe: a worker tree in which any process may be killed at any time.

What q2 gives: the task API and its table (``async_task``, ``OrmQ``), the pusher, worker and monitor
loops. What is replaced is what holds them together, because stock q2 does it with locks that a
killed process never gives back (docs/adr/0001-django-q2.md)::

    supervisor            manage.py worker, manage.py up   restarts what dies
    └─ main               manage.py worker --only NAME     heartbeat, leases, watchdog, tick
       └─ guard           forks and revives the rest; single-threaded, touches no database
          ├─ pusher       takes due tasks from the table, one for each idle worker
          ├─ worker × N   runs them
          └─ monitor      acknowledges them

Every process dies with its parent (Linux: PR_SET_PDEATHSIG). One that dies is replaced, and the
task it had in hand runs again when its lease of LEASE_SECONDS is over.
"""

from imageproc.workers.board import stop_requested

__all__ = ["stop_requested"]
