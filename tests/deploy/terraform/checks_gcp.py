"""What must be so of everything that is made on Google Cloud; each check gives what is wrong, by its address.

Google encrypts all that it keeps, and answers by TLS alone where it is not said otherwise here.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.deploy.terraform.checks import Holds, failing, holding, knowing, listed, tags_are_asked_for
from tests.deploy.terraform.hcl import Block, Configuration

WHOLE_PROJECT = {
    "google_project_iam_member.loop_endpoints": "on endpoints and models that are not made yet no right may be given",
    "google_project_iam_member.loop_trainings": "jobs of Vertex AI are no resources that a right may be given on",
}
"""Rights that hold in the whole project, and why."""
PREDEFINED = {
    "google_kms_crypto_key_iam_member.storage": "roles/cloudkms.cryptoKeyEncrypterDecrypter",
    "google_service_account_iam_member.loop_pods": "roles/iam.workloadIdentityUser",
    "google_service_account_iam_member.serving_pods": "roles/iam.workloadIdentityUser",
}
"""Roles that are Google's own: what Cloud Storage itself needs, and who a pod may be."""
_OURS = "${google_project_iam_custom_role."
_GOOGLES_ADDRESSES = "199.36.153.8/30"
_LEAST_BACKUPS, _LEAST_LOG_DAYS = 7, 7


def _is_backed_up(one: Block) -> bool:
    said = one.inner("settings", "backup_configuration")
    kept = one.inner("settings", "backup_configuration", "backup_retention_settings")
    return (
        said.get("enabled") is True
        and said.get("point_in_time_recovery_enabled") is True
        and said.get("transaction_log_retention_days", 0) >= _LEAST_LOG_DAYS
        and kept.get("retained_backups", 0) >= _LEAST_BACKUPS
    )


ENCRYPTED: dict[str, Holds] = {
    "google_kms_crypto_key": lambda one: "rotation_period" in one.body,
    "google_storage_bucket": lambda one: (
        "google_kms_crypto_key." in one.inner("encryption").get("default_kms_key_name", "")
    ),
}
KEPT: dict[str, Holds] = {
    "google_firestore_database": lambda one: one.body.get("delete_protection_state") == "DELETE_PROTECTION_ENABLED",
    "google_kms_crypto_key": lambda one: one.inner("lifecycle").get("prevent_destroy") is True,
    "google_secret_manager_secret": lambda one: one.body.get("deletion_protection") is True,
    "google_sql_database": lambda one: one.body.get("deletion_policy") == "ABANDON",
    "google_sql_database_instance": lambda one: (
        one.body.get("deletion_protection") is True and one.inner("settings").get("deletion_protection_enabled") is True
    ),
    "google_storage_bucket": lambda one: (
        one.body.get("force_destroy") is False and one.inner("lifecycle").get("prevent_destroy") is True
    ),
}
RECOVERABLE: dict[str, Holds] = {
    "google_firestore_database": lambda one: (
        one.body.get("point_in_time_recovery_enablement") == "POINT_IN_TIME_RECOVERY_ENABLED"
    ),
    "google_sql_database_instance": _is_backed_up,
    "google_storage_bucket": lambda one: (
        one.inner("versioning").get("enabled") is True
        and any("days_since_noncurrent_time" in rule["condition"][0] for rule in one.body.get("lifecycle_rule", ()))
    ),
}
LABELLED: dict[str, Holds] = {
    **dict.fromkeys(
        (
            *("google_artifact_registry_repository", "google_dns_managed_zone", "google_secret_manager_secret"),
            *("google_pubsub_subscription", "google_pubsub_topic", "google_storage_bucket"),
        ),
        lambda one: "name" in one.body.get("labels", {}),
    ),
    "google_sql_database_instance": lambda one: (
        one.inner("settings").get("user_labels") == "${merge(local.labels, { name = var.name })}"
    ),
}
IAM = {
    *("google_kms_crypto_key_iam_member", "google_project_iam_member", "google_secret_manager_secret_iam_member"),
    *("google_service_account_iam_member", "google_storage_bucket_iam_member"),
    *("google_pubsub_subscription_iam_member", "google_pubsub_topic_iam_member"),
}
UNLABELLED = {
    *IAM,
    *("google_compute_firewall", "google_compute_global_address", "google_compute_network", "google_compute_route"),
    *("google_compute_subnetwork", "google_dns_record_set", "google_firestore_database", "google_firestore_field"),
    *("google_kms_crypto_key", "google_kms_key_ring", "google_project_iam_custom_role", "google_project_service"),
    *("google_service_account", "google_service_networking_connection", "google_sql_database"),
    "google_storage_notification",
}
"""Types that have no labels, or none that cost depends on; what is a key, a policy of others or a NAT is in neither."""


def no_bucket_is_public(made: Configuration) -> Iterator[str]:
    """Find buckets that could be public, by whatever way there is."""
    for bucket in made.blocks("google_storage_bucket"):
        if bucket.body.get("public_access_prevention") != "enforced":
            yield f"{bucket.address} may be public"
        if bucket.body.get("uniform_bucket_level_access") is not True:
            yield f"{bucket.address} takes access lists"
    for one in _bindings(made):
        if one.body["member"] in ("allUsers", "allAuthenticatedUsers"):
            yield f"{one.address} allows everybody"


def all_is_labelled(made: Configuration) -> Iterator[str]:
    """Find what nobody's name would stand on."""
    for one in made.providers:
        if one.get("default_labels") != "${local.labels}":
            yield "provider.google has no labels for everything"
    yield from tags_are_asked_for(made, "labels")
    yield from failing(made, LABELLED, "has no label 'name'")


def rights_are_narrow(made: Configuration) -> Iterator[str]:
    """Find roles that are not ours, permissions with `*`, and what holds in the whole project, without a reason."""
    for role in made.blocks("google_project_iam_custom_role"):
        yield from (f"{role.address} has {each}" for each in role.body["permissions"] if "*" in each)
    for one in _bindings(made):
        role = one.body["role"]
        if not role.startswith(_OURS) and PREDEFINED.get(one.address) != role:
            yield f"{one.address} gives {role}"
        whole = one.type == "google_project_iam_member" and "condition" not in one.body
        if whole and one.address not in WHOLE_PROJECT:
            yield f"{one.address} holds in the whole project"


def all_speak_tls(made: Configuration) -> Iterator[str]:
    """Find databases that would answer in clear."""
    for one in made.blocks("google_sql_database_instance"):
        if one.inner("settings", "ip_configuration").get("ssl_mode") != "ENCRYPTED_ONLY":
            yield f"{one.address} answers without TLS"


def nothing_is_reached_from_outside(made: Configuration) -> Iterator[str]:
    """Find ways in from the internet, and out to it."""
    for one in made.blocks("google_sql_database_instance"):
        if one.inner("settings", "ip_configuration").get("ipv4_enabled") is not False:
            yield f"{one.address} may be reached from outside"
    for one in made.blocks("google_compute_firewall"):
        if one.body.get("source_ranges") != ["${var.cidr}"]:
            yield f"{one.address} lets others in"
    for one in made.blocks("google_compute_network"):
        if one.body.get("delete_default_routes_on_create") is not True:
            yield f"{one.address} leads to the internet"
    for one in made.blocks("google_compute_route"):
        if one.body.get("dest_range") != _GOOGLES_ADDRESSES:
            yield f"{one.address} leads elsewhere than to Google's services"


CHECKS = listed(
    *(no_bucket_is_public, all_is_labelled, rights_are_narrow, all_speak_tls, nothing_is_reached_from_outside),
    types_are_known=knowing(LABELLED.keys() | UNLABELLED),
    nothing_is_deleted_by_mistake=holding(KEPT),
    all_is_encrypted=holding(ENCRYPTED, "is not encrypted with a key of its own that changes"),
    all_can_be_had_back=holding(RECOVERABLE, "cannot be had back, or keeps old versions for ever"),
)


def reasons(made: Configuration) -> tuple[set[str], set[str]]:
    """Return what has a reason why it is not narrower, and what is not."""
    theirs = {one.address for one in _bindings(made) if not one.body["role"].startswith(_OURS)}
    whole = {one.address for one in made.blocks("google_project_iam_member") if "condition" not in one.body}
    return PREDEFINED.keys() | WHOLE_PROJECT, theirs | whole


def _bindings(made: Configuration) -> list[Block]:
    return [one for one in made.blocks() if one.type in IAM]
