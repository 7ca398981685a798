"""Google Cloud Firestore: online store."""
