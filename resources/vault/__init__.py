"""HashiCorp Vault and OpenBao: secret store, remote signing keys."""
