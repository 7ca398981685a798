"""Bigtable: Google Cloud's wide rows, for features that are read and written more than documents can bear."""
