terraform {
  required_version = ">= 1.11" # a password that is only written, and kept in no state
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.55, < 5.0"
    }
  }
}

provider "azurerm" {
  subscription_id     = var.subscription
  storage_use_azuread = true
  features {
    resource_group {
      prevent_deletion_if_contains_resources = true
    }
    storage {
      data_plane_available = false # nobody outside the network reaches it, whoever runs Terraform included
    }
    key_vault {
      purge_soft_delete_on_destroy = false
    }
  }
}

data "azurerm_client_config" "this" {}

locals {
  tags  = merge(var.tags, { "loopline:installation" = var.name })
  short = substr("${replace(var.name, "-", "")}${md5("${var.subscription}/${var.name}")}", 0, 20) # of what the whole world names
}

resource "azurerm_resource_group" "this" {
  name     = var.name
  location = var.location
  tags     = local.tags
}
