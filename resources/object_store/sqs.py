"""Notifications of S3 by SQS: from S3 itself, SNS, or EventBridge."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from loopline.platform_core.errors import InvalidEnvironment, StoreUnavailable, one_line
from loopline.resources.object_store.notifications import Landing, Notifications, Told

AT_ONCE = 10
"""What SQS gives and takes at most."""
ANSWER_SECONDS = 5
_CREATED = ("ObjectCreated", "Object Created", "ObjectRestore:Completed")
_log = logging.getLogger(__name__)


class SqsNotifications(Notifications):
    """Messages of one queue about objects below ``s3://bucket/prefix``; credentials are found by boto3's own chain.

    A message that says nothing of such objects is let go if it is S3's test, or about objects elsewhere in the bucket;
    one that nobody understands stays, for the queue's own rule for what is never let go.
    """

    def __init__(self, queue: str, url: str, options: Mapping[str, str]) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise InvalidEnvironment(f"{queue}: boto3 is not installed ({error})", "install the extra 'aws'") from error
        self._queue = queue
        self._landing = Landing.of(url)
        # what an answer told that was lost would stay hidden if the client asked again
        limits = Config(connect_timeout=ANSWER_SECONDS, read_timeout=ANSWER_SECONDS, retries={"total_max_attempts": 1})
        try:
            # of its own: the session that boto3 shares keeps the credentials that were found first in this process
            self._client: Any = boto3.session.Session().client("sqs", config=limits, **options)
        except Exception as error:
            raise InvalidEnvironment(
                f"{queue}: {one_line(error)}", "name the queue's region, such as {region_name: eu-central-1}"
            ) from error

    def receive(self) -> Sequence[Told]:
        """Receive ten at most."""
        answer = self._asked("receive_message", MaxNumberOfMessages=AT_ONCE, WaitTimeSeconds=0)
        told = []
        for message in answer.get("Messages", ()):
            try:
                keys = tuple(self._keys(json.loads(message["Body"])))
            except (ValueError, KeyError, TypeError) as error:
                _log.warning("%s: a message is no notification of S3's: %s", self._queue, one_line(error))
                continue
            told.append(Told(keys, message["ReceiptHandle"]))
        return told

    def done(self, told: Sequence[Told]) -> None:
        """Delete them."""
        entries = [{"Id": str(number), "ReceiptHandle": one.receipt} for number, one in enumerate(told)]
        self._asked("delete_message_batch", Entries=entries)

    def _keys(self, body: Any) -> list[str]:
        """Return the keys below the prefix that a message says were written."""
        if "TopicArn" in body:  # through SNS
            body = json.loads(body["Message"])
        if body.get("Event") == "s3:TestEvent":
            return []
        if "detail-type" in body:  # of EventBridge, where keys are as they are
            written = [(body["detail-type"], body["detail"]["bucket"]["name"], body["detail"]["object"]["key"])]
        else:
            records = [(each["eventName"], each["s3"]) for each in body["Records"]]
            written = [(what, s3["bucket"]["name"], unquote_plus(s3["object"]["key"])) for what, s3 in records]
        return [
            below
            for what, bucket, key in written
            if what.startswith(_CREATED)
            for below in self._landing.below(bucket, [key])
        ]

    def _asked(self, what: str, **how: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._client, what)(QueueUrl=self._queue, **how)
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable(
                f"{self._queue}: {one_line(error)}",
                "see whether the queue is there, and give this identity sqs:ReceiveMessage and sqs:DeleteMessage",
                delay_seconds=30,
            ) from error
        return answer
