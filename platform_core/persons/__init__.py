"""Data subject requests (GDPR): what is held on a person is disclosed, erased, and searched for afterwards."""
