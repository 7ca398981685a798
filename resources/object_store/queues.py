"""Factory of notification queues by URL."""

from __future__ import annotations

from collections.abc import Mapping

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.object_store.notifications import Notifications
from loopline.resources.object_store.pubsub import SUBSCRIPTION, PubsubNotifications
from loopline.resources.object_store.sqs import SqsNotifications
from loopline.resources.object_store.storage_queue import QUEUE, QueueNotifications


def notifications_of(queue: str, url: str, options: Mapping[str, str]) -> Notifications:
    """Open a queue by its name, in which a store tells of objects below ``url``.

    Raises:
        InvalidEnvironment: nothing reads such a queue, or its client is not installed.
    """
    if url.startswith("s3://") and queue.startswith(("https://", "http://")):
        return SqsNotifications(queue, url, options)
    if url.startswith("gs://") and SUBSCRIPTION.fullmatch(queue):
        return PubsubNotifications(queue, url, options)
    if url.startswith("az://") and QUEUE.fullmatch(queue):
        return QueueNotifications(queue, url, options)
    raise InvalidEnvironment(
        f"{queue} is no queue in which {url} can tell of objects",
        "name an SQS queue's URL for S3, projects/<project>/subscriptions/<name> for Cloud Storage, "
        "https://<account>.queue.core.windows.net/<queue> for Blob; or leave 'notifications' out, and everything "
        "is listed",
    )
