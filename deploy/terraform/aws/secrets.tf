# Secrets without their values, which never pass through here: 'aws secretsmanager put-secret-value' gives them.

resource "aws_secretsmanager_secret" "this" {
  for_each                = var.secrets
  name                    = "${var.name}-${each.key}"
  recovery_window_in_days = 30
  tags                    = { Name = "${var.name}-${each.key}" }
}
