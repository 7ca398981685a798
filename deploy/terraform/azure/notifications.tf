# Event Grid puts word of files that arrive into a queue, by an identity of its own, since the account answers to no keys. The loop reads the
# queue, if the event source names it.

resource "azurerm_storage_queue" "landing" {
  name               = "${var.name}-landing"
  storage_account_id = azurerm_storage_account.this.id
}

resource "azurerm_eventgrid_system_topic" "this" {
  name                = "${var.name}-files"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  source_resource_id  = azurerm_storage_account.this.id
  topic_type          = "Microsoft.Storage.StorageAccounts"
  tags                = local.tags
  identity {
    type = "SystemAssigned"
  }
}

resource "azurerm_role_definition" "tell_of_files" {
  name              = "${local.short}: tell of files"
  scope             = azurerm_resource_group.this.id
  assignable_scopes = [azurerm_resource_group.this.id]
  permissions {
    data_actions = [
      "Microsoft.Storage/storageAccounts/queueServices/queues/messages/add/action"
    ]
  }
}

resource "azurerm_role_assignment" "account_tells" {
  scope              = azurerm_storage_queue.landing.id
  role_definition_id = azurerm_role_definition.tell_of_files.role_definition_resource_id
  principal_id       = azurerm_eventgrid_system_topic.this.identity[0].principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_eventgrid_system_topic_event_subscription" "landing" {
  name                  = "landing"
  resource_group_name   = azurerm_resource_group.this.name
  system_topic          = azurerm_eventgrid_system_topic.this.name
  event_delivery_schema = "EventGridSchema"
  included_event_types  = ["Microsoft.Storage.BlobCreated"]
  depends_on            = [azurerm_role_assignment.account_tells]
  delivery_identity {
    type = "SystemAssigned"
  }
  storage_queue_endpoint {
    storage_account_id                    = azurerm_storage_account.this.id
    queue_name                            = azurerm_storage_queue.landing.name
    queue_message_time_to_live_in_seconds = 604800 # 7 days
  }
  subject_filter {
    subject_begins_with = "/blobServices/default/containers/${azurerm_storage_container.loop.name}/blobs/landing/"
  }
}
