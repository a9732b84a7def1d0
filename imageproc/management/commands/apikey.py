"""Creates, lists and revokes API keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from imageproc.api.auth import local_user
from imageproc.models import ApiKey
from imageproc.models.apikey import SCOPES


class Command(BaseCommand):
    help = "Create, list and revoke API keys."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="create a key and print it, only this once")
        create.add_argument("name", help="what it is for, such as shop-backend")
        create.add_argument(
            "--owner",
            metavar="USERNAME",
            help="the user whose requests it can see; created if new (default: local)",
        )
        create.add_argument("--scope", action="append", choices=SCOPES, help="default: all")
        create.add_argument("--expires", type=_moment, metavar="DATE", help="2027-01-31")
        show = actions.add_parser("list", help="every key, without its secret")
        show.add_argument("--owner", metavar="USERNAME")
        revoke = actions.add_parser("revoke", help="revoke a key at once")
        revoke.add_argument("key", help="its id or prefix, as `list` shows them")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        do: dict[str, Callable[..., None]] = {
            "create": self._create,
            "list": self._list,
            "revoke": self._revoke,
        }
        do[action](**options)

    def _create(
        self,
        name: str,
        owner: str | None,
        scope: list[str] | None,
        expires: datetime | None,
        **_: Any,
    ) -> None:
        if expires is not None and expires <= timezone.now():
            raise CommandError("--expires is in the past.")
        user = _owner(owner)
        key, secret = ApiKey.objects.issue(
            owner_id=user.pk, name=name[:100], scopes=tuple(scope or SCOPES), expires_at=expires
        )
        self.stderr.write(
            f"Key {key.pk} of {user.get_username()}, for {', '.join(key.scopes)}. "
            "Copy it now, it is not shown again:"
        )
        self.stdout.write(secret)

    def _list(self, owner: str | None, **_: Any) -> None:
        keys = ApiKey.objects.select_related("owner")
        if owner:
            keys = keys.filter(owner__username=owner)
        for key in keys:
            self.stdout.write(
                f"{key.pk}  {key.prefix}…  {key.name}  {key.owner.get_username()}  "
                f"{','.join(key.scopes)}  {_state(key)}"
            )

    def _revoke(self, key: str, **_: Any) -> None:
        found = list(ApiKey.objects.filter(prefix=key[:12])[:2])
        if key.isdecimal():
            found = list(ApiKey.objects.filter(pk=int(key)))
        if len(found) != 1:
            raise CommandError(f"No single key matches {key}: use the id that `list` shows.")
        if not ApiKey.objects.revoke(found[0].pk):
            raise CommandError("This key is already revoked.")
        self.stdout.write(f"Revoked {found[0]}.")


def _owner(name: str | None) -> Any:
    """The user with this name, created without a password if it does not exist."""
    if name is None:
        return local_user()
    user, created = get_user_model().objects.get_or_create(username=name)
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user


def _state(key: ApiKey) -> str:
    if key.revoked_at:
        return "revoked"
    if key.expires_at and key.expires_at <= timezone.now():
        return "expired"
    used = f"used {key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never used"
    return f"{used}, expires {key.expires_at:%Y-%m-%d}" if key.expires_at else used


def _moment(text: str) -> datetime:
    """Parse a date or a time. A date means the end of that day in UTC."""
    day: date | None = parse_date(text) if len(text) == len("2027-01-31") else None
    moment = datetime.combine(day, time.max) if day else parse_datetime(text)
    if moment is None:
        raise ValueError
    return moment if moment.tzinfo else timezone.make_aware(moment)
