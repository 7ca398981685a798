variable "name" {
  description = "What names of this installation begin with."
  type        = string
  default     = "loopline"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}$", var.name))
    error_message = "A name has 2 to 19 small letters, digits and hyphens, and begins with a letter."
  }
}

variable "subscription" {
  description = "The subscription in which everything lies."
  type        = string
}

variable "location" {
  description = "Where everything lies, such as westeurope."
  type        = string
}

variable "tags" {
  description = "Tags of everything, such as whose it is and who pays."
  type        = map(string)
  validation {
    condition     = contains(keys(var.tags), "owner") && contains(keys(var.tags), "cost-center")
    error_message = "Name at least 'owner' and 'cost-center'."
  }
}

variable "cidr" {
  description = "Addresses of the network: nodes have the first half, private endpoints and PostgreSQL a sixteenth each."
  type        = string
  default     = "10.64.0.0/16"
}

variable "oidc_issuer" {
  description = "The OIDC issuer of the AKS cluster whose pods get these identities; empty until it is there."
  type        = string
  default     = ""
}

variable "namespace" {
  description = "The namespace of the platform's pods."
  type        = string
  default     = "loopline"
}

variable "service_accounts" {
  description = "Which service account has which identity: of Dagster's pods and code locations, and of inference servers."
  type        = object({ loop = string, serving = string })
  default     = { loop = "loopline", serving = "loopline-serving" }
}

variable "secrets" {
  description = "What the environment file asks for as secret://<name>-<this>; who operates makes them, in the vault."
  type        = set(string)
  default     = ["ledger", "registry"]
}

variable "keep_days" {
  description = "For how many days blobs that were deleted or written over can be had back."
  type        = number
  default     = 30
}

variable "database_password" {
  description = "The first password of PostgreSQL's administrator; it is kept nowhere here."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "database_sku" {
  description = "The machine of PostgreSQL."
  type        = string
  default     = "GP_Standard_D2ds_v5"
}

variable "database_mb" {
  description = "The disk of PostgreSQL, which grows by itself."
  type        = number
  default     = 65536
}

variable "most_request_units" {
  description = "How many request units a second online features may take; a tenth is paid for always."
  type        = number
  default     = 4000
}

variable "workspace" {
  description = "The Azure ML workspace in this resource group, which somebody else makes, with its clusters and datastore; empty until it is there."
  type        = string
  default     = ""
}
