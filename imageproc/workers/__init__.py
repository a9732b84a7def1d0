"""Worker processes: django-q2's own cluster, unchanged, and what keeps it running.

q2 forks the processes and runs the tasks. It ties them together with locks that a killed process
never gives back, so where a death may have cost a lock, all of q2's processes are killed and forked
again (docs/adr/0001-django-q2.md)::

    supervisor            manage.py worker, manage.py up   starts again what ends
    └─ main               manage.py worker --only NAME     forks, watches, drains (cluster.py)
       ├─ keeper          heartbeat, watchdog, sweep, metrics (keeper.py)
       └─ guard           q2's sentinel, and below it q2's processes:
          ├─ worker × N   run the tasks
          └─ helper × 2   the pusher takes tasks from the table, the monitor records failures

Every process dies with its parent (Linux: PR_SET_PDEATHSIG). The task of a killed worker is lost;
the sweep finds the row that still needs it and enqueues another.
"""

from imageproc.workers.board import stop_requested

__all__ = ["stop_requested"]
