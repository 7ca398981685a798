"""Multi-tenancy: an operator creates, suspends, resumes and deletes tenants, who share stores but no data."""

from loopline.platform_core.tenants.operators import Operators, read
from loopline.platform_core.tenants.provisioning import Wanted, create, delete, place_of, resume, suspend
from loopline.platform_core.tenants.state import Tenant, found, known

__all__ = [
    "Operators", "Tenant", "Wanted", "create", "delete", "found", "known", "place_of", "read", "resume", "suspend",
]  # fmt: skip
