output "environment" {
  description = "Variables of an environment file on AWS: 'terraform output -json environment'."
  value = {
    LOOPLINE_REGION        = var.region
    LOOPLINE_STORE         = "s3://${aws_s3_bucket.this.bucket}"
    LOOPLINE_TABLE         = aws_dynamodb_table.online.name
    LOOPLINE_OFFSETS_TABLE = aws_dynamodb_table.places.name
    LOOPLINE_IMAGE         = aws_ecr_repository.this["platform"].repository_url
    LOOPLINE_TRAINING_ROLE = aws_iam_role.training.arn
    LOOPLINE_SERVING_IMAGE = aws_ecr_repository.this["serving"].repository_url
    LOOPLINE_SERVING_ROLE  = aws_iam_role.endpoints.arn
  }
}

output "places" {
  description = "What bindings beside those may name: the queue of new files, the network of jobs and endpoints, identities, what callers of endpoints may do, PostgreSQL."
  value = {
    landing_queue     = aws_sqs_queue.landing.url
    subnets           = [for subnet in aws_subnet.private : subnet.id]
    security_group    = aws_security_group.jobs.id
    roles             = { for name, role in aws_iam_role.pods : name => role.arn }
    callers_policy    = aws_iam_policy.callers.arn
    database          = aws_db_instance.this.address
    database_password = aws_db_instance.this.master_user_secret[0].secret_arn
  }
}
