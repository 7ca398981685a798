"""What vendors on Amazon Web Services share: clients of boto3, and what its errors mean."""
