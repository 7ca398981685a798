"""Firestore: Google Cloud's documents, reached by every process that may."""
