"""Deletes Kafka topics and consumer groups by prefix."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

    from loopline.resources.kafka.client_callbacks import Told


def delete_all(admin: AdminClient, prefix: str, timeout_seconds: float, told: Told) -> None:
    """Delete every topic, then every group, whose name begins with the prefix; a group that others still use stays.

    Raises:
        StoreUnavailable: the cluster did not answer, or did not delete a topic.
    """
    from confluent_kafka import KafkaException

    try:
        topics = [name for name in admin.list_topics(timeout=timeout_seconds).topics if name.startswith(prefix)]
        deleting = admin.delete_topics(topics, operation_timeout=timeout_seconds) if topics else {}
        for deleted in deleting.values():
            deleted.result()
        listed = admin.list_consumer_groups(request_timeout=timeout_seconds).result().valid
        groups = [one.group_id for one in listed if one.group_id.startswith(prefix)]
        for gone in (admin.delete_consumer_groups(groups) if groups else {}).values():
            with contextlib.suppress(KafkaException):
                gone.result()
    except KafkaException as error:
        raise told.error(prefix, error) from error
