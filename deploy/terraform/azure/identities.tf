# Who may do what: the rights stand in rights_*.tf.
# loop: Dagster's pods and code locations. serving: inference servers. training: jobs of Azure ML, whose clusters must have it.
# None has a key: pods are theirs by workload identity, labelled azure.workload.identity/use.

resource "azurerm_user_assigned_identity" "loop" {
  name                = "${var.name}-loop"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  tags                = local.tags
}

resource "azurerm_user_assigned_identity" "serving" {
  name                = "${var.name}-serving"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  tags                = local.tags
}

resource "azurerm_user_assigned_identity" "training" {
  name                = "${var.name}-training"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  tags                = local.tags
}

resource "azurerm_federated_identity_credential" "loop" {
  for_each            = toset(var.oidc_issuer == "" ? [] : [var.service_accounts.loop])
  name                = "pods"
  resource_group_name = azurerm_resource_group.this.name
  parent_id           = azurerm_user_assigned_identity.loop.id
  issuer              = var.oidc_issuer
  audience            = ["api://AzureADTokenExchange"]
  subject             = "system:serviceaccount:${var.namespace}:${each.key}"
}

resource "azurerm_federated_identity_credential" "serving" {
  for_each            = toset(var.oidc_issuer == "" ? [] : [var.service_accounts.serving])
  name                = "pods"
  resource_group_name = azurerm_resource_group.this.name
  parent_id           = azurerm_user_assigned_identity.serving.id
  issuer              = var.oidc_issuer
  audience            = ["api://AzureADTokenExchange"]
  subject             = "system:serviceaccount:${var.namespace}:${each.key}"
}
