# What a container of a SageMaker endpoint may do: what inference servers may, and what SageMaker does as its role. And who may ask endpoints.

data "aws_iam_policy_document" "endpoints" {
  source_policy_documents = [data.aws_iam_policy_document.answering.json, data.aws_iam_policy_document.machines.json]
  statement {
    sid       = "ReportOfAServerThatLeaves"
    actions   = ["s3:DeleteObject"]
    resources = ["${aws_s3_bucket.this.arn}/serving/*/observed/*"]
  }
  statement {
    sid       = "Image"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [aws_ecr_repository.this["serving"].arn]
  }
  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["arn:aws:logs:${var.region}:${local.account}:log-group:/aws/sagemaker/Endpoints/${var.name}-*"]
  }
  statement {
    sid       = "Metrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"] # the service knows no narrower one
    condition {
      test     = "StringLike"
      variable = "cloudwatch:namespace"
      values   = ["/aws/sagemaker/Endpoints", "aws/sagemaker/Endpoints"]
    }
  }
}

data "aws_iam_policy_document" "callers" {
  statement {
    sid       = "Asks"
    actions   = ["sagemaker:InvokeEndpoint"]
    resources = ["arn:aws:sagemaker:${var.region}:${local.account}:endpoint/${var.name}-*"]
  }
}
