"""The feature service: what features there are and who reads them, their values online and as training sets."""
