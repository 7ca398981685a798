"""Vendors on Amazon SageMaker AI."""
