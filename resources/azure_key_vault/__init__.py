"""Key Vault of Azure."""
