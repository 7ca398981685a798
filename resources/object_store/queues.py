"""Which queue tells of new objects, by its URL."""

from __future__ import annotations

from collections.abc import Mapping

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.object_store.notifications import Notifications
from loopline.resources.object_store.sqs import SqsNotifications


def notifications_of(queue: str, url: str, options: Mapping[str, str]) -> Notifications:
    """Open a queue by its URL, in which a store tells of objects below ``url``.

    Raises:
        InvalidEnvironment: nothing reads such a queue, or its client is not installed.
    """
    if url.startswith("s3://") and queue.startswith(("https://", "http://")):
        return SqsNotifications(queue, url, options)
    raise InvalidEnvironment(
        f"{queue} is no queue in which {url} can tell of objects",
        "name an SQS queue's URL for a bucket of S3; leave 'notifications' out elsewhere, and everything is listed",
    )
