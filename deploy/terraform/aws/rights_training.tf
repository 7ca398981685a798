# What a training job may do: its task's own reads and writes, and what SageMaker does as the job's role.

data "aws_iam_policy_document" "training" {
  source_policy_documents = [data.aws_iam_policy_document.machines.json]
  statement {
    sid       = "Bucket"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.this.arn]
  }
  statement {
    sid       = "Tables"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.this.arn}/lake/*"]
  }
  statement {
    sid       = "TasksAndArtefacts"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.this.arn}/models/*", "${aws_s3_bucket.this.arn}/tasks/*"]
  }
  statement {
    sid       = "EncryptedObjects"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.amazonaws.com"]
    }
  }
  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = ["arn:aws:secretsmanager:${var.region}:${local.account}:secret:${var.name}-*"]
  }
  statement {
    sid       = "Image"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [aws_ecr_repository.this["platform"].arn]
  }
  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${local.training_logs}:*"]
  }
  statement {
    sid       = "Metrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"] # the service knows no narrower one
    condition {
      test     = "StringLike"
      variable = "cloudwatch:namespace"
      values   = ["/aws/sagemaker/TrainingJobs", "aws/sagemaker/TrainingJobs"]
    }
  }
}

# What SageMaker does as the role of whatever runs on its machines.

data "aws_iam_policy_document" "machines" {
  statement {
    sid       = "ImageLogin"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"] # the service knows no narrower one
  }
  statement {
    sid = "LooksAtTheNetwork"
    actions = [
      "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
      "ec2:DescribeVpcs"
    ]
    resources = ["*"] # the service knows no narrower one
  }
  statement {
    sid = "StandsInTheNetwork"
    actions = [
      "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
      "ec2:DeleteNetworkInterfacePermission"
    ]
    resources = local.network_of_jobs
  }
}

locals {
  network_of_jobs = concat(
    [for subnet in aws_subnet.private : subnet.arn],
    [aws_security_group.jobs.arn, "arn:aws:ec2:${var.region}:${local.account}:network-interface/*"]
  )
}
