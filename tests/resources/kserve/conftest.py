"""What the tests of the vendors on KServe share."""

from tests.cluster.endpoints_in_pods import bind_pods, object_store  # noqa: F401 - fixtures
