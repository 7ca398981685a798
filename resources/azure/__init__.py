"""What vendors on Azure share."""
