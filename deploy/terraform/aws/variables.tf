variable "name" {
  description = "What names of this installation begin with."
  type        = string
  default     = "loopline"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "A name has 2 to 21 small letters, digits and hyphens, and begins with a letter."
  }
}

variable "region" {
  description = "Where everything lies, such as eu-central-1."
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
  description = "Addresses of the network; a private subnet in each zone takes a sixteenth."
  type        = string
  default     = "10.64.0.0/16"
}

variable "zones" {
  description = "Availability zones, two at least."
  type        = list(string)
  validation {
    condition     = length(var.zones) >= 2
    error_message = "PostgreSQL needs two zones."
  }
}

variable "cluster_name" {
  description = "The EKS cluster whose pods get these identities; empty until it is there."
  type        = string
  default     = ""
}

variable "oidc_provider_arn" {
  description = "The cluster's OIDC provider, where its pods get identities by IRSA and not by EKS Pod Identity."
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

variable "streams" {
  description = "Event streams, as team.source, and how many days each keeps its records."
  type        = map(number)
  default     = {}
}

variable "secrets" {
  description = "What the environment file asks for as secret://<name>-<this>; who operates gives them their values."
  type        = set(string)
  default     = ["ledger", "registry"]
}

variable "keep_days" {
  description = "For how many days objects that were deleted or written over can be had back."
  type        = number
  default     = 30
}

variable "answer_days" {
  description = "After how many days tasks and answers of training jobs are deleted."
  type        = number
  default     = 30
}

variable "database_class" {
  description = "The machine of PostgreSQL."
  type        = string
  default     = "db.m7g.large"
}

variable "database_gb" {
  description = "The disk of PostgreSQL, which grows to ten times as much."
  type        = number
  default     = 50
}
