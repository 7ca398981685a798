variable "name" {
  description = "What names of this installation begin with."
  type        = string
  default     = "loopline"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}$", var.name))
    error_message = "A name has 2 to 19 small letters, digits and hyphens, and begins with a letter."
  }
}

variable "project" {
  description = "The project in which everything lies."
  type        = string
}

variable "region" {
  description = "Where everything lies, such as europe-west4."
  type        = string
}

variable "labels" {
  description = "Labels of everything, such as whose it is and who pays."
  type        = map(string)
  validation {
    condition     = contains(keys(var.labels), "owner") && contains(keys(var.labels), "cost-center")
    error_message = "Name at least 'owner' and 'cost-center'."
  }
}

variable "cidr" {
  description = "Addresses of the network: nodes have the first quarter, pods the second, services the third, Google the last."
  type        = string
  default     = "10.64.0.0/16"
}

variable "namespace" {
  description = "The namespace of the platform's pods."
  type        = string
  default     = "loopline"
}

variable "service_accounts" {
  description = "Which service account of Kubernetes has which identity: of Dagster's pods and code locations, and of inference servers."
  type        = object({ loop = string, serving = string })
  default     = { loop = "loopline", serving = "loopline-serving" }
}

variable "workload_pool" {
  description = "The workload identity pool of the GKE cluster whose pods get these identities; empty until there is one."
  type        = string
  default     = ""
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

variable "database_tier" {
  description = "The machine of PostgreSQL."
  type        = string
  default     = "db-custom-2-8192"
}

variable "database_gb" {
  description = "The disk of PostgreSQL, which grows by itself."
  type        = number
  default     = 50
}
