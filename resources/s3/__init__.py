"""Amazon S3, and servers that speak its protocol and that of IAM."""
