"""Azure credentials of this process, found by azure-identity."""

from __future__ import annotations

import os
from typing import Any


def identity(**settings: Any) -> Any:
    """Return who we are; a pod's workload identity by itself, for a chain does not tell that the sign-in is away."""
    from azure.identity import DefaultAzureCredential, WorkloadIdentityCredential

    federated = "AZURE_FEDERATED_TOKEN_FILE" in os.environ and "AZURE_CLIENT_SECRET" not in os.environ
    return (WorkloadIdentityCredential if federated else DefaultAzureCredential)(**settings)
