//go:build tools

// Package policies names the command that scripts/cluster.sh builds to enforce network policies.
package policies

import _ "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"
