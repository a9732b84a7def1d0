"""Teams: groups of users, made in the admin, who see each other's requests.

A request belongs to a team only if its upload says so: groups also carry rights, and members of
such a group did not agree to share their catalogues.
"""

from __future__ import annotations

from django.contrib.auth.models import Group


def names(user_id: int) -> list[str]:
    return list(Group.objects.filter(user=user_id).order_by("name").values_list("name", flat=True))


def find(user_id: int, name: str) -> Group | None:
    """The team of this name that the user is in."""
    return Group.objects.filter(user=user_id, name=name).first() if name else None


def unknown(user_id: int, name: str) -> str:
    """What is wrong with a name that ``find`` does not find, in a sentence."""
    teams = names(user_id)
    yours = f"Yours: {', '.join(teams)}." if teams else "You are in none."
    return f"You are not in a team called {name[:60]}. {yours}"
