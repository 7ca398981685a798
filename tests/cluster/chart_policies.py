"""The policies that the chart writes, in namespaces of tests that install nothing else of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tests.deploy.helm_chart import objects

if TYPE_CHECKING:
    from kubernetes import client


def write(api: client.ApiClient, values: dict[str, Any], namespaces: Collection[str]) -> None:
    """Make those that an installation with these values has in some namespaces."""
    from kubernetes import client

    for one in objects(values):
        if one["kind"] == "NetworkPolicy" and one["metadata"]["namespace"] in namespaces:
            client.NetworkingV1Api(api).create_namespaced_network_policy(one["metadata"]["namespace"], one)
