"""The shapes of JSON responses, from which the OpenAPI schema is made too.

A class's docstring becomes its schema's description, the text of ``Annotated`` that of a field.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from imageproc.requests.report import Links

RequestState = Literal["PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"]
ProductState = Literal[
    "PENDING", "PROCESSING", "COMPLETED", "PARTIAL", "FAILED", "CANCELLED", "NO_IMAGE"
]
DeliveryState = Literal["PENDING", "SENDING", "DELIVERED", "FAILED"]


class Accepted(TypedDict):
    """The upload is stored and queued."""

    requestId: str
    status: Literal["PENDING"]
    message: str
    totalProducts: int
    totalImages: int
    links: Links
    notes: NotRequired[Annotated[list[str], "What to know of how the file was read."]]
    skippedRows: NotRequired[Annotated[int, "Rows left out because of onError=skip."]]
    rowsWithoutImage: NotRequired[int]


class LineError(TypedDict):
    """An error in the CSV."""

    line: Annotated[int, "The line in the file, from 1."]
    column: Annotated[str, 'The header\'s own name, or "".']
    value: Annotated[str, "The value found there, at most 200 characters."]
    code: str
    message: str
    row: Annotated[int, "The row that a spreadsheet shows, 0 where it is not known."]


class ErrorKind(TypedDict):
    """Errors of one code; ``message`` is that of the first."""

    code: str
    message: str
    count: int


class Columns(TypedDict):
    """The header's names of the columns that are read."""

    images: list[str]
    serial: str | None
    name: str | None
    foundBy: Literal["caller", "saved", "profile", "names", "content"]
    profile: Annotated[str | None, "The platform whose header it is."]


class PreviewRow(TypedDict):
    line: int
    serialNumber: str
    productName: str
    imageUrls: list[str]


class HostCount(TypedDict):
    host: str
    images: int


class Obstacle(TypedDict):
    """Why no upload is taken now, whatever the file holds: `intake_paused` or `quota_exceeded`."""

    code: str
    message: str


class Rehearsal(TypedDict):
    """What an upload would do; nothing is stored."""

    dryRun: Literal[True]
    valid: bool
    totalProducts: int
    totalImages: int
    hosts: Annotated[list[HostCount], "Where the images would come from, the most images first."]
    otherHostsImages: Annotated[int, "Images on hosts that are not listed."]
    duplicateUrls: Annotated[int, "URLs that occur earlier in the file."]
    errors: Annotated[list[LineError], "The first errors."]
    errorCount: int
    errorKinds: Annotated[list[ErrorKind], "All errors by code, the commonest first."]
    badRows: Annotated[int, "Rows that onError=skip would leave out."]
    rowsWithoutImage: int
    encoding: str | None
    columns: Annotated[Columns | None, "null where no column of images was found."]
    rows: Annotated[list[PreviewRow], "The first three rows as they are read."]
    notes: Annotated[list[str], "What to know of how the file was read."]
    blockedBy: NotRequired[list[Obstacle]]


class Failure(TypedDict):
    code: Annotated[str, "Stable; for programs."]
    message: str
    remedy: Annotated[str, 'What you can do about it, or "".']


class Reason(Failure):
    """Images that failed for the same reason."""

    images: int


class Image(TypedDict):
    """One image of a product. Sizes in bytes and pixels; null while unknown."""

    imageId: str
    status: RequestState
    inputUrl: str
    outputUrl: str | None
    originalUrl: Annotated[str | None, "The stored original, if storeOriginals was set."]
    attempts: int
    inputSize: int | None
    outputSize: int | None
    compressionRatio: Annotated[float | None, "Output bytes over input bytes."]
    width: int | None
    height: int | None
    contentType: str | None
    sha256: Annotated[str | None, "Of the output, lower-case hex."]
    change: NotRequired[
        Annotated[
            Literal["new", "changed", "unchanged"] | None,
            "Compared with what the URL gave before.",
        ]
    ]
    error: Failure | None


class Product(TypedDict):
    """A row of the CSV; the lists of URLs have the same length and order."""

    serialNumber: str
    productName: str
    status: ProductState
    inputImageUrls: list[str]
    outputImageUrls: list[str | None]
    images: list[Image]


class Attempt(TypedDict):
    number: int
    startedAt: datetime
    statusCode: Annotated[int | None, "null if there was no response."]
    milliseconds: int | None
    error: Annotated[str | None, "Why there was no response."]
    answer: Annotated[str, "The first 1,000 characters of the receiver's response."]


class Delivery(TypedDict):
    """One message and the attempts to deliver it."""

    deliveryId: str
    webhookId: Annotated[str, 'The "webhook-id" header, the same on every attempt.']
    event: Literal["request.completed", "request.failed", "request.cancelled"]
    status: DeliveryState
    createdAt: datetime
    nextAttemptAt: Annotated[datetime | None, "null if no attempt is planned."]
    attempts: list[Attempt]


class Webhook(TypedDict):
    url: str
    deliveries: Annotated[list[Delivery], "The newest first."]


class Summary(TypedDict):
    """A request and its counters."""

    requestId: str
    status: RequestState
    fileName: str
    message: Annotated[str, 'Why the request failed or was stopped, or "".']
    priority: Literal["high", "normal", "low"]
    progress: Annotated[float, "Percent of the images that are in a final state."]
    totalProducts: int
    totalImages: int
    processedImages: Annotated[int, "In a final state: completed, failed or cancelled."]
    completedImages: int
    failedImages: int
    cancelledImages: int
    bytesIn: int
    bytesOut: int
    bytesSaved: int
    newImages: NotRequired[Annotated[int, "Completed images whose URL was not known before."]]
    changedImages: NotRequired[Annotated[int, "Completed images with another object than before."]]
    unchangedImages: NotRequired[Annotated[int, "Completed images with the same object as before."]]
    imagesPerSecond: Annotated[float | None, "Since the start."]
    etaSeconds: int | None
    createdAt: datetime
    startedAt: datetime | None
    completedAt: datetime | None
    links: Links
    skippedRows: NotRequired[Annotated[int, "Rows left out because of onError=skip."]]
    rowsWithoutImage: NotRequired[int]


class HostWait(TypedDict):
    """An image host that has shown a limit, and what waits for it."""

    host: str
    images: Annotated[int, "How many of the request wait for it; an estimate beyond 5,000."]
    requestsPerSecond: Annotated[float | None, "Of all workers; null while no pace is known."]
    closedUntil: Annotated[datetime | None, "It is not asked before then; null while it is open."]
    reason: str


class Status(Summary):
    """A request, its failures by reason, its webhooks, and one page of its products."""

    errors: list[Reason]
    webhook: Webhook | None
    products: list[Product]
    nextCursor: Annotated[str | None, "The cursor of the next page of products, null at the end."]
    hosts: NotRequired[Annotated[list[HostWait], "Hosts with a limit that images wait for."]]


class RequestList(TypedDict):
    """The newest first."""

    requests: list[Summary]
    nextCursor: Annotated[str | None, "The cursor of the next page, null at the end."]


class Retried(Summary):
    retriedImages: int


class Continued(Summary):
    continuedImages: int


class Secret(TypedDict):
    """The secret that signs webhooks (Standard Webhooks 1.0)."""

    secret: str
    createdAt: datetime
    previousExpiresAt: Annotated[
        datetime | None, "Until then, messages are also signed with the previous secret."
    ]


class FieldError(TypedDict):
    field: str
    code: str
    message: str


class Problem(TypedDict, total=False):
    """RFC 9457. ``errors`` lists fields or lines; ``errorCount`` counts the unlisted ones too."""

    type: str
    title: str
    status: int
    code: Annotated[str, "Stable; for programs."]
    detail: str
    errors: list[dict[str, Any]]
    errorCount: int
    errorKinds: list[ErrorKind]
