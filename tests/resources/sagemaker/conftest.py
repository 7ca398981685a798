"""What the tests of this folder run on."""

from tests.emulators.sagemaker_server import bound, s3, server

__all__ = ["bound", "s3", "server"]
