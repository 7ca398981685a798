"""Files for Google Cloud that are broken, each in one place, and what finds it."""

from __future__ import annotations

from tests.deploy.terraform.checks import NOT_HELD, broken

BROKEN = broken(
    what_is_named_is_there=[
        ("bucket.tf", "google_kms_key_ring.this.id", "google_kms_key_ring.that.id", "that is not"),
        ("rights_loop.tf", "custom_role.loop_rows.id", "custom_role.rows.id", "rows is not there"),
        ("database.tf", "var.database_tier", '"db-f1-micro"', "var.database_tier is used by"),
    ],
    types_are_known=[
        ("identities.tf", '"google_service_account" "loop"', '"google_service_account_key" "loop"', "key"),
    ],
    no_bucket_is_public=[
        ("bucket.tf", '"enforced"', '"inherited"', "google_storage_bucket.this may be public"),
        ("bucket.tf", "uniform_bucket_level_access = true", "", "takes access lists"),
        ("rights_loop.tf", "google_service_account.loop.member", '"allUsers"', "allows everybody"),
    ],
    all_is_encrypted=[
        ("bucket.tf", "default_kms_key_name = google_kms_crypto_key.this.id", "", "bucket.this is not"),
        ("bucket.tf", 'rotation_period            = "7776000s"', "", "google_kms_crypto_key.this is not"),
    ],
    all_can_be_had_back=[
        ("bucket.tf", "enabled = true", "enabled = false", "google_storage_bucket.this cannot"),
        ("bucket.tf", "days_since_noncurrent_time", "age", "keeps old versions for ever"),
        ("tables.tf", "RECOVERY_ENABLED", "RECOVERY_DISABLED", "google_firestore_database.online"),
        ("database.tf", "retained_backups = 14", "retained_backups = 1", "database_instance.this"),
        ("database.tf", "point_in_time_recovery_enabled = true", "", "google_sql_database_instance"),
    ],
    all_is_labelled=[
        ("versions.tf", "= local.labels", "= {}", "provider.google has no labels"),
        ("variables.tf", ' && contains(keys(var.labels), "cost-center")', "", "asks for no 'cost-center'"),
        ("bucket.tf", "{ name = var.name }", "{}", "google_storage_bucket.this has no label"),
        ("database.tf", "merge(local.labels, { name = var.name })", "{}", "database_instance.this has no"),
        ("notifications.tf", "{ name = var.name }", "{}", "google_pubsub_topic.landing has no label"),
    ],
    rights_are_narrow=[
        ("rights.tf", '"storage.objects.get"', '"storage.objects.*"', "has storage.objects.*"),
        (
            "rights_loop.tf",
            "google_project_iam_custom_role.loop_objects.id",
            '"roles/storage.admin"',
            "google_storage_bucket_iam_member.loop_objects gives roles/storage.admin",
        ),
        (
            "rights_serving.tf",
            '  condition {\n    title      = "online rows"\n    expression = local.database\n  }\n',
            "",
            "google_project_iam_member.serving_rows holds in the whole project",
        ),
        (
            "notifications.tf",
            "google_project_iam_custom_role.tell_of_files.id",
            '"roles/pubsub.editor"',
            "google_pubsub_topic_iam_member.bucket_tells gives roles/pubsub.editor",
        ),
    ],
    all_speak_tls=[
        ("database.tf", "ENCRYPTED_ONLY", "ALLOW_UNENCRYPTED_AND_ENCRYPTED", "answers without TLS"),
    ],
    nothing_is_reached_from_outside=[
        ("database.tf", "ipv4_enabled    = false", "ipv4_enabled = true", "may be reached from outside"),
        ("network.tf", "[var.cidr]", '["0.0.0.0/0"]', "google_compute_firewall.inside lets others in"),
        ("network.tf", "delete_default_routes_on_create = true", "", "google_compute_network.this leads to"),
        ("network.tf", '"199.36.153.8/30"', '"0.0.0.0/0"', "google_compute_route.google leads elsewhere"),
    ],
    nothing_is_deleted_by_mistake=[
        ("bucket.tf", "force_destroy               = false", "force_destroy = true", f"bucket.this {NOT_HELD}"),
        ("bucket.tf", "prevent_destroy = true", "", f"google_kms_crypto_key.this {NOT_HELD}"),
        ("tables.tf", "PROTECTION_ENABLED", "PROTECTION_DISABLED", f"google_firestore_database.online {NOT_HELD}"),
        ("secrets.tf", "deletion_protection = true", "", f"google_secret_manager_secret.this {NOT_HELD}"),
        ("database.tf", "deletion_protection_enabled = true", "", f"google_sql_database_instance.this {NOT_HELD}"),
        ("database.tf", '"ABANDON"', '"DELETE"', f"google_sql_database.this {NOT_HELD}"),
    ],
)
