"""The truth of the service: tables, what may stand in them, and the changes of state."""

from imageproc.models.access import HostAccess
from imageproc.models.apikey import ApiKey
from imageproc.models.delivery import DeliveryStatus
from imageproc.models.heartbeat import ClusterHeartbeat
from imageproc.models.host import Host, HostReason
from imageproc.models.image import ProductImage
from imageproc.models.image_states import ImageStatus
from imageproc.models.mail import MailDelivery
from imageproc.models.mapping import ColumnMapping
from imageproc.models.minute import FinishedImage, MinuteTally
from imageproc.models.picture import Change, Picture, StoredObject
from imageproc.models.product import Product
from imageproc.models.request import Priority, ProcessingRequest
from imageproc.models.request_states import RequestStatus
from imageproc.models.rowerror import RowError
from imageproc.models.switch import Switch
from imageproc.models.tally import FailureTally
from imageproc.models.upload import PendingUpload
from imageproc.models.webhook import (
    WebhookAttempt,
    WebhookDelivery,
    WebhookSecret,
)

__all__ = [
    "ApiKey",
    "Change",
    "ClusterHeartbeat",
    "ColumnMapping",
    "DeliveryStatus",
    "FailureTally",
    "FinishedImage",
    "Host",
    "HostAccess",
    "HostReason",
    "ImageStatus",
    "MailDelivery",
    "MinuteTally",
    "PendingUpload",
    "Picture",
    "Priority",
    "ProcessingRequest",
    "Product",
    "ProductImage",
    "RequestStatus",
    "RowError",
    "StoredObject",
    "Switch",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookSecret",
]
