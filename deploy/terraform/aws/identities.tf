# Who may do what: the rights stand in rights_*.tf.
# loop: Dagster's pods and code locations. serving: inference servers. training: jobs of SageMaker. endpoints: containers of its endpoints.

data "aws_iam_policy_document" "pods" {
  for_each = var.service_accounts
  dynamic "statement" {
    for_each = var.oidc_provider_arn == "" ? ["pod-identity"] : []
    content {
      actions = ["sts:AssumeRole", "sts:TagSession"]
      principals {
        type        = "Service"
        identifiers = ["pods.eks.amazonaws.com"]
      }
      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [local.account]
      }
    }
  }
  dynamic "statement" {
    for_each = var.oidc_provider_arn == "" ? [] : ["irsa"]
    content {
      actions = ["sts:AssumeRoleWithWebIdentity"]
      principals {
        type        = "Federated"
        identifiers = [var.oidc_provider_arn]
      }
      condition {
        test     = "StringEquals"
        variable = "${element(split("oidc-provider/", var.oidc_provider_arn), 1)}:sub"
        values   = ["system:serviceaccount:${var.namespace}:${each.value}"]
      }
      condition {
        test     = "StringEquals"
        variable = "${element(split("oidc-provider/", var.oidc_provider_arn), 1)}:aud"
        values   = ["sts.amazonaws.com"]
      }
    }
  }
}

resource "aws_iam_role" "pods" {
  for_each           = var.service_accounts
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.pods[each.key].json
  tags               = { Name = "${var.name}-${each.key}" }
}

resource "aws_eks_pod_identity_association" "pods" {
  for_each        = { for name, account in var.service_accounts : name => account if var.cluster_name != "" && var.oidc_provider_arn == "" }
  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = each.value
  role_arn        = aws_iam_role.pods[each.key].arn
  tags            = { Name = "${var.name}-${each.key}" }
}

data "aws_iam_policy_document" "sagemaker" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["sagemaker.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "training" {
  name               = "${var.name}-training"
  assume_role_policy = data.aws_iam_policy_document.sagemaker.json
  tags               = { Name = "${var.name}-training" }
}

resource "aws_iam_role" "endpoints" {
  name               = "${var.name}-endpoints"
  assume_role_policy = data.aws_iam_policy_document.sagemaker.json
  tags               = { Name = "${var.name}-endpoints" }
}

resource "aws_iam_role_policy" "loop" {
  name   = "loop"
  role   = aws_iam_role.pods["loop"].id
  policy = data.aws_iam_policy_document.loop.json
}

resource "aws_iam_role_policy" "serving" {
  name   = "serving"
  role   = aws_iam_role.pods["serving"].id
  policy = data.aws_iam_policy_document.serving.json
}

resource "aws_iam_role_policy" "training" {
  name   = "training"
  role   = aws_iam_role.training.id
  policy = data.aws_iam_policy_document.training.json
}

resource "aws_iam_role_policy" "endpoints" {
  name   = "endpoints"
  role   = aws_iam_role.endpoints.id
  policy = data.aws_iam_policy_document.endpoints.json
}

resource "aws_iam_policy" "callers" { # of applications that ask endpoints: attach it to their roles
  name   = "${var.name}-callers"
  policy = data.aws_iam_policy_document.callers.json
  tags   = { Name = "${var.name}-callers" }
}
