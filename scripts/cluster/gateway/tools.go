//go:build tools

// Package gateway names the command that scripts/cluster.sh builds to carry requests by the Gateway API's routes.
package gateway

import _ "github.com/envoyproxy/gateway/cmd/envoy-gateway"
