"""The forms of the pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm

from imageproc.images.patterns import DEFAULT, MAX_PATTERN, Pattern, PatternError
from imageproc.images.patterns import PRESETS as PATTERNS
from imageproc.images.presets import PRESETS, Preset
from imageproc.images.recipe import MAX_MARGIN, MAX_SIDE, MAX_TRIM, MIN_BYTES, RecipeError
from imageproc.intake import RECIPE_OPTIONS, Options, notify, teams
from imageproc.models import ImageStatus, Priority, RequestStatus
from imageproc.models.apikey import SCOPES
from imageproc.models.host import FASTEST_PACE, SLOWEST_PACE
from imageproc.requests.report import FailureGroup, GalleryFilter
from imageproc.sheet import Choice


class UploadForm(forms.Form):
    """A CSV and the options for its images; everything but the file has a default."""

    file = forms.FileField(label="CSV file")
    preset = forms.ChoiceField(
        choices=[(name, preset.title) for name, preset in PRESETS.items()],
        required=False,
        initial="catalog",
        widget=forms.RadioSelect,
    )
    format = forms.ChoiceField(
        label="File format",
        choices=[("", "JPEG"), ("webp", "WebP"), ("avif", "AVIF"), ("png", "PNG")],
        required=False,
    )
    max_width = forms.IntegerField(label="Width", min_value=1, max_value=MAX_SIDE, required=False)
    max_height = forms.IntegerField(label="Height", min_value=1, max_value=MAX_SIDE, required=False)
    quality = forms.IntegerField(min_value=1, max_value=100, required=False)
    fit = forms.ChoiceField(
        label="Fit",
        choices=[
            ("", "As the preset"),
            ("inside", "Within the box, never enlarged"),
            ("pad", "Exactly the box, background around the picture"),
            ("cover", "Exactly the box, cut from the picture"),
        ],
        required=False,
    )
    crop = forms.ChoiceField(
        label="Part to show",
        choices=[("", "The centre"), ("attention", "Where the eye is drawn")],
        required=False,
    )
    trim = forms.IntegerField(
        label="Remove a plain border", min_value=0, max_value=MAX_TRIM, required=False
    )
    margin = forms.FloatField(min_value=0, max_value=MAX_MARGIN, required=False)
    background = forms.RegexField(
        r"^#[0-9a-fA-F]{6}\Z",
        required=False,
        error_messages={"invalid": "Use a colour like #ffffff."},
    )
    sharpen = forms.BooleanField(label="Sharpen lightly what becomes much smaller", required=False)
    max_bytes = forms.IntegerField(
        label="Largest file, bytes", min_value=MIN_BYTES, max_value=2**31 - 1, required=False
    )
    keep_copyright = forms.BooleanField(
        label="Keep copyright and creator in the pictures", required=False
    )
    priority = forms.ChoiceField(
        choices=Priority.choices, required=False, initial=Priority.NORMAL.value
    )
    host_pace = forms.FloatField(
        label="Images a second from each host",
        min_value=SLOWEST_PACE,
        max_value=FASTEST_PACE,
        required=False,
    )
    names = forms.CharField(
        label="Names of the results",
        max_length=MAX_PATTERN,
        required=False,
        widget=forms.TextInput(
            attrs={"placeholder": "{serial}_{position}", "list": "name-patterns"}
        ),
    )
    webhook_url = forms.URLField(
        label="Webhook",
        max_length=2048,
        required=False,
        assume_scheme="https",
        help_text="We send a message to this address when the request ends.",
    )
    notify_email = forms.EmailField(label="E-mail", max_length=254, required=False)
    team = forms.ChoiceField(label="Who sees it", required=False)
    store_originals = forms.BooleanField(
        label="Keep the originals, to compare before and after", required=False
    )
    image_base = forms.URLField(
        label="Base address of pictures",
        max_length=2048,
        required=False,
        assume_scheme="https",
    )
    refresh = forms.BooleanField(
        label="Fetch and compress everything anew, also what is unchanged", required=False
    )
    skip_bad_rows = forms.BooleanField(required=False)
    idempotency_key = forms.CharField(required=False, max_length=255, widget=forms.HiddenInput)

    # Suggested for ``names``.
    patterns = (DEFAULT, *PATTERNS)

    def __init__(self, *args: Any, owner_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if settings.EMAIL_ENABLED:
            self.fields["notify_email"].help_text = notify.allowed(owner_id)
        else:
            del self.fields["notify_email"]
        if own := teams.names(owner_id):
            team: Any = self.fields["team"]
            team.choices = [("", "Only me"), *((name, f"Team {name}") for name in own)]
        else:
            del self.fields["team"]
        chosen = str(self.data.get("preset") or "catalog")
        for name in ("max_width", "max_height", "quality", "trim", "margin", "background"):
            # What is used where the field stays empty; the page's script follows the preset.
            unset = {key: _unset(getattr(preset.recipe, name)) for key, preset in PRESETS.items()}
            attrs = self.fields[name].widget.attrs
            attrs["placeholder"] = unset.get(chosen, "")
            attrs |= {f"data-{key}": value for key, value in unset.items()}

    @property
    def cards(self) -> list[tuple[str, Preset, bool]]:
        """The presets to choose from: (name, preset, whether it is chosen)."""
        chosen = self["preset"].value() or "catalog"
        return [(name, preset, name == chosen) for name, preset in PRESETS.items()]

    def clean(self) -> dict[str, Any]:
        if not self.errors:
            try:
                self.options().recipe()
            except RecipeError as error:
                self.add_error(error.field, error.sentence)
        return self.cleaned_data

    def clean_names(self) -> str:
        text = str(self.cleaned_data["names"])
        try:
            return Pattern(text).text if text else ""
        except PatternError as error:
            raise forms.ValidationError(str(error)) from error

    def options(self) -> Options:
        """The options; those with an error have their defaults."""
        data = self.cleaned_data
        own: dict[str, Any] = {name: data.get(name) for name in RECIPE_OPTIONS}
        # What is left empty is the preset's.
        chosen = {key: value for key, value in own.items() if value != "" and value is not False}
        return Options(
            preset=data.get("preset") or "catalog",
            **chosen,
            store_originals=data.get("store_originals", False),
            priority=data.get("priority") or Priority.NORMAL.value,
            host_pace=data.get("host_pace"),
            webhook_url=data.get("webhook_url", ""),
            notify_email=data.get("notify_email", ""),
            team=data.get("team", ""),
            names=data.get("names", ""),
            skip_bad_rows=data.get("skip_bad_rows", False),
            refresh=data.get("refresh", False),
            image_base=data.get("image_base", ""),
        )

    def sentences(self) -> list[str]:
        """Every error as "Label: what is wrong"."""
        return [
            f"{self.fields[name].label or name.replace('_', ' ').capitalize()}: {error}"
            for name, errors in self.errors.items()
            for error in errors
        ]


def _unset(value: Any) -> str:
    """What a preset has, as the placeholder of a field that is left empty."""
    if isinstance(value, str):
        return value
    return "as it is" if value is None else f"{value:g}" if value else "none"


class ColumnsForm(forms.Form):
    """The roles of the columns as chosen on the page: ``header`` holds the names as JSON,
    ``role-N`` the role of the N-th."""

    header = forms.JSONField()

    def clean_header(self) -> list[str]:
        header = self.cleaned_data["header"]
        if not isinstance(header, list) or not all(isinstance(name, str) for name in header):
            raise forms.ValidationError("This is not a header.")
        return header

    def choice(self) -> Choice:
        """The choice; raises ValueError if no column of images was chosen."""
        names: dict[str, list[str]] = {"images": [], "serial": [], "name": []}
        for index, column in enumerate(self.cleaned_data["header"]):
            names.get(self.data.get(f"role-{index}", ""), []).append(column)
        if not names["images"]:
            raise ValueError("no column of images")
        serial, name = (next(iter(names[role]), "") for role in ("serial", "name"))
        return Choice(tuple(names["images"]), serial, name)


class SearchForm(forms.Form):
    """Searches the list of requests by part of the file name and by state."""

    q = forms.CharField(
        label="File name",
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Search by file name"}),
    )
    state = forms.ChoiceField(
        choices=[
            ("", "All states"),
            (RequestStatus.PENDING, "Waiting"),
            (RequestStatus.PROCESSING, "Running"),
            (RequestStatus.COMPLETED, "Done"),
            (RequestStatus.FAILED, "Failed"),
            (RequestStatus.CANCELLED, "Cancelled"),
        ],
        required=False,
    )
    before = forms.UUIDField(required=False, widget=forms.HiddenInput)


class CursorForm(forms.Form):
    """The cursor of a page of failed images: the one before its first."""

    after = forms.UUIDField(required=False)


class GalleryForm(forms.Form):
    """Searches and filters the pictures of a request. ``groups``: its failures."""

    search = forms.CharField(
        label="Serial number, name or link",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Number, name or link"}),
    )
    state = forms.ChoiceField(
        choices=[
            ("", "Done"),
            (ImageStatus.FAILED, "Failed"),
            (ImageStatus.PENDING, "Waiting"),
            (ImageStatus.CANCELLED, "Cancelled"),
            ("all", "All states"),
        ],
        required=False,
    )
    code = forms.ChoiceField(label="Reason", required=False)
    host = forms.CharField(
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={"placeholder": "Any host"}),
    )
    page = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)

    def __init__(self, data: Any, *, groups: list[FailureGroup]) -> None:
        super().__init__(data)
        codes: Any = self.fields["code"]
        codes.choices = [
            ("", "Any reason"),
            *((group.code, group.fault.message) for group in groups),
        ]

    def wanted(self) -> GalleryFilter:
        data = self.cleaned_data
        state = {"": ImageStatus.COMPLETED.value, "all": ""}.get(data["state"], data["state"])
        return GalleryFilter(state, data["search"], data["code"], data["host"].lower())

    def query(self) -> str:
        """The filter as a query string, for links to other pages."""
        names = ("search", "state", "code", "host")
        return urlencode(
            {name: self.cleaned_data[name] for name in names if self.cleaned_data[name]}
        )


class RetryForm(forms.Form):
    """Selects failed images: all, those with one reason, or those with one reason at one host."""

    code = forms.CharField(required=False, max_length=40)
    host = forms.CharField(required=False, max_length=255)


class KeyForm(forms.Form):
    """A new API key."""

    name = forms.CharField(
        max_length=100, widget=forms.TextInput(attrs={"placeholder": "Nightly import"})
    )
    scopes = forms.MultipleChoiceField(
        label="Permissions",
        choices=[
            ("upload", "Upload catalogues"),
            ("read", "Read progress and results"),
            ("operate", "Retry, cancel and delete"),
        ],
        initial=list(SCOPES),
        widget=forms.CheckboxSelectMultiple,
    )


class SignInForm(AuthenticationForm):
    """Django's own form with our own error message."""

    error_messages = {  # noqa: RUF012 -- Django's own declaration is not a ClassVar
        **AuthenticationForm.error_messages,
        "invalid_login": "Wrong user name or password. Both are case-sensitive.",
    }
