{{/* Names, labels and images that all objects share. */}}

{{- define "loopline.labels" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: loopline
{{- end }}

{{- define "loopline.allLabels" -}}
{{ include "loopline.labels" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* <release>-<component>, once where the release is called as the component */}}
{{- define "loopline.fullname" -}}
{{ printf "%s-%s" .root.Release.Name .component | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "loopline.image" -}}
{{- $image := .image -}}
{{- if $image.digest -}}{{ $image.repository }}@{{ $image.digest }}
{{- else -}}{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* A team's values over the defaults, as YAML. A tag or digest alone is one of the platform's repository. */}}
{{- define "loopline.team" -}}
{{- $team := mergeOverwrite (deepCopy .root.Values.teamDefaults) (.team | default dict | deepCopy) -}}
{{- $_ := set $team "namespace" ($team.namespace | default (printf "%s-%s" .root.Release.Namespace (.name | replace "_" "-"))) -}}
{{- if and (not $team.image.repository) (or $team.image.tag $team.image.digest) -}}
{{- $_ := set $team.image "repository" .root.Values.image.repository -}}
{{- else if not $team.image.repository -}}{{- $_ := set $team "image" .root.Values.image -}}{{- end -}}
{{ toYaml $team }}
{{- end }}

{{- define "loopline.servingNamespace" -}}
{{ .Values.serving.namespace | default (printf "%s-serving" .Release.Namespace) }}
{{- end }}

{{/*
Where endpoints are: each namespace with the teams whose endpoints are there, as YAML. With {team} in serving.namespace
that is one team.
*/}}
{{- define "loopline.servingPlaces" -}}
{{- $pattern := include "loopline.servingNamespace" . -}}
{{- $found := dict -}}
{{- if .Values.serving.enabled -}}
{{- if include "loopline.servingByTeam" . -}}
{{- range $name, $_ := .Values.teams -}}
{{- $_ := set $found ($pattern | replace "{team}" ($name | replace "_" "-")) (list $name) -}}
{{- end -}}
{{- else -}}
{{- $_ := set $found $pattern (keys .Values.teams | sortAlpha) -}}
{{- end -}}
{{- end -}}
{{ toYaml $found }}
{{- end }}

{{- define "loopline.servingByTeam" -}}
{{- if contains "{team}" (include "loopline.servingNamespace" .) }}yes{{ end -}}
{{- end }}

{{/* Teams' namespaces, each with its team, as YAML */}}
{{- define "loopline.teamNamespaces" -}}
{{- $found := dict -}}
{{- range $name, $given := .Values.teams -}}
{{- $_ := set $found (include "loopline.team" (dict "root" $ "name" $name "team" $given) | fromYaml).namespace $name -}}
{{- end -}}
{{ toYaml $found }}
{{- end }}

{{/*
The environment file as it is read in a namespace: takes root, and place (its namespace and image). Variables that the
chart knows are filled in, so that they hold in Jobs and endpoints too; the others come from the Secret. Prices lie beside it.
*/}}
{{- define "loopline.environmentText" -}}
{{- $root := .root -}}
{{- $text := $root.Values.environment.text | default ($root.Files.Get "files/environment.yaml") -}}
{{- $known := dict
      "LOOPLINE_IMAGE" (include "loopline.image" (dict "root" $root "image" .place.image))
      "LOOPLINE_PYTHON" $root.Values.image.python
      "LOOPLINE_TEAM_NAMESPACE" .place.namespace
      "LOOPLINE_TRAINING_ACCOUNT" (printf "%s-training" $root.Release.Name)
      "LOOPLINE_SERVING_NAMESPACE" (include "loopline.servingNamespace" $root)
      "LOOPLINE_SERVING_ACCOUNT" (printf "%s-serving" $root.Release.Name)
      "LOOPLINE_RUN_PODS" "run-pods.yaml"
      "LOOPLINE_RUNS" $root.Values.runs.atOnce
      "LOOPLINE_TRAININGS" $root.Values.runs.trainings
      "LOOPLINE_TEAM_RUNS" $root.Values.runs.ofTeam
      "LOOPLINE_SECRET" $root.Values.stores.secret -}}
{{- if $root.Values.expose.enabled -}}
{{- $_ := set $known "LOOPLINE_GATEWAY" (printf "%s/%s" $root.Values.expose.gateway.namespace $root.Values.expose.gateway.name) -}}
{{- with $root.Values.expose.hostnames -}}{{- $_ := set $known "LOOPLINE_MODELS_URL" (printf "https://%s" (first .)) -}}{{- end -}}
{{- end -}}
{{- range $name, $value := merge (dict) $root.Values.environment.variables $known -}}
{{- $text = regexReplaceAllLiteral (printf "\\$\\{%s(:-[^}]*)?\\}" $name) $text (toString $value) -}}
{{- end -}}
{{- $text = $text | replace "../prices/" "" -}}
{{- if not (hasKey ($text | fromYaml) "Error") -}}
{{- $text = include "loopline.placedPods" (dict "root" $root "place" .place "text" $text) -}}
{{- end -}}
{{- if $root.Values.promotions.enabled -}}
{{- $said := dict "folder" "/etc/loopline-promotions" "required" $root.Values.promotions.required -}}
{{- $text = merge (dict "promotions" $said) ($text | fromYaml) | toYaml -}}
{{- end -}}
{{- if $root.Values.serving.keys -}}
{{- $text = include "loopline.keyed" (dict "text" $text "keys" $root.Values.serving.keys) -}}
{{- end -}}
{{ $text }}
{{- end }}

{{/*
Lay over the bindings what the values say of every pod, so that it reaches trainings, executors and endpoints; what the
environment file says itself stays. The text is as it was where there is nothing to lay.
*/}}
{{- define "loopline.placedPods" -}}
{{- $document := .text | fromYaml -}}
{{- $values := .root.Values -}}
{{- $all := dict -}}
{{- with $values.image.pullSecrets }}{{ $_ := set $all "image_pull_secrets" . }}{{ end -}}
{{- if ne $values.image.pullPolicy "IfNotPresent" }}{{ $_ := set $all "image_pull_policy" $values.image.pullPolicy }}{{ end -}}
{{- with $values.scheduling.nodeSelector }}{{ $_ := set $all "node_selector" . }}{{ end -}}
{{- with $values.scheduling.tolerations }}{{ $_ := set $all "tolerations" . }}{{ end -}}
{{- with $values.scheduling.priorityClass }}{{ $_ := set $all "priority_class" . }}{{ end -}}
{{- with include "loopline.podTemplate" .root | fromYaml }}{{ $_ := set $all "pod_template" . }}{{ end -}}
{{- $stated := merge (dict) $values.environment.variables (include "loopline.trust" .root | fromYaml) -}}
{{- $tasks := deepCopy $all -}}
{{- with merge (dict) (.place.variables | default dict) $stated }}{{ $_ := set $tasks "env" (include "loopline.strings" . | fromYaml) }}{{ end -}}
{{- with $stated }}{{ $_ := set $all "env" (include "loopline.strings" . | fromYaml) }}{{ end -}}
{{- $bindings := dict -}}
{{- range $contract, $binding := kindIs "map" $document.bindings | ternary $document.bindings dict -}}
{{- if kindIs "map" $binding }}{{ $_ := set $bindings $contract $binding }}{{ end -}}
{{- end -}}
{{- $laid := false -}}
{{- $vendor := dig "compute" "vendor" "" $bindings -}}
{{- if and $tasks (eq $vendor "kubernetes") }}{{ $_ := merge $bindings.compute $tasks }}{{ $laid = true }}{{ end -}}
{{- $vendor = dig "serving" "vendor" "" $bindings -}}
{{- if and $all (has $vendor (list "kubernetes" "kserve")) }}{{ $_ := merge $bindings.serving $all }}{{ $laid = true }}{{ end -}}
{{- if and $values.expose.hostnames (eq $vendor "kubernetes") -}}
{{- $_ := merge $bindings.serving (dict "hostnames" $values.expose.hostnames) -}}
{{- $laid = true -}}
{{- end -}}
{{- $pods := dig "engine" "pods" "" $bindings -}}
{{- if and $tasks (eq (dig "engine" "vendor" "" $bindings) "pyspark") (kindIs "map" $pods) }}{{ $_ := merge $pods $tasks }}{{ $laid = true }}{{ end -}}
{{ $laid | ternary (toYaml $document) .text }}
{{- end }}

{{- define "loopline.strings" -}}
{{- range $name, $value := . }}
{{ $name }}: {{ toString $value | quote }}
{{- end }}
{{- end }}

{{/* What the values add to every pod, in the words of the vendors' pod_template */}}
{{- define "loopline.podTemplate" -}}
{{- $values := .Values -}}
{{- $found := dict -}}
{{- with $values.podLabels }}{{ $_ := set $found "labels" . }}{{ end -}}
{{- with $values.podAnnotations }}{{ $_ := set $found "annotations" . }}{{ end -}}
{{- with $values.scheduling.affinity }}{{ $_ := set $found "affinity" . }}{{ end -}}
{{- $context := dict -}}
{{- range $field := list "runAsUser" "runAsGroup" "fsGroup" -}}
{{- if not (hasKey $values.podSecurityContext $field) }}{{ $_ := set $context $field nil -}}
{{- else if ne (toString (get $values.podSecurityContext $field)) "1000" }}{{ $_ := set $context $field (get $values.podSecurityContext $field) }}{{ end -}}
{{- end -}}
{{- with merge $context (omit $values.podSecurityContext "runAsUser" "runAsGroup" "fsGroup") }}{{ $_ := set $found "security_context" . }}{{ end -}}
{{- $volumes := $values.extraVolumes -}}
{{- $mounts := $values.extraVolumeMounts -}}
{{- with $values.caBundle.configMap -}}
{{- $volumes = append $volumes (dict "name" "ca-bundle" "configMap" (dict "name" .)) -}}
{{- $mounts = append $mounts (dict "name" "ca-bundle" "mountPath" "/etc/loopline-ca" "readOnly" true) -}}
{{- end -}}
{{- with $volumes }}{{ $_ := set $found "volumes" . }}{{ end -}}
{{- with $mounts }}{{ $_ := set $found "volume_mounts" . }}{{ end -}}
{{ toYaml $found }}
{{- end }}

{{/* Variables by which libraries find the bundle of authorities: Python's ssl and Rust's clients, requests, AWS' SDK */}}
{{- define "loopline.trust" -}}
{{- if .Values.caBundle.configMap -}}
{{- range list "SSL_CERT_FILE" "REQUESTS_CA_BUNDLE" "AWS_CA_BUNDLE" }}
{{ . }}: /etc/loopline-ca/{{ $.Values.caBundle.key }}
{{- end }}
{{- end -}}
{{- end }}

{{/* Let inference servers ask for keys: the Secret is mounted in their pods, and named to their gateway */}}
{{- define "loopline.keyed" -}}
{{- $document := .text | fromYaml -}}
{{- $serving := dig "bindings" "serving" dict $document -}}
{{- if has ($serving.vendor | default "") (list "kubernetes" "kserve") -}}
{{- $_ := set $serving "secrets" (merge (dict .keys "/etc/loopline-keys") ($serving.secrets | default dict)) -}}
{{- $_ := set $serving "gateway" (merge (dict "keys" "/etc/loopline-keys/keys.json") ($serving.gateway | default dict)) -}}
{{- end -}}
{{ toYaml $document }}
{{- end }}

{{/* An account: takes root, component, namespace, account (its name), and maybe annotations, laid over those of all accounts */}}
{{- define "loopline.account" -}}
{{- if .root.Values.serviceAccount.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .account }}
  namespace: {{ .namespace }}
  labels: {{- include "loopline.allLabels" . | nindent 4 }}
  {{- with mergeOverwrite (deepCopy .root.Values.serviceAccount.annotations) (.annotations | default dict) (.kept | default dict) }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
{{- end }}

{{/* Annotations of what endpoints' pods need in a namespace: it stays when the release goes, as endpoints do */}}
{{- define "loopline.kept" -}}
{{- if and .root.Values.serving.keep (hasKey (include "loopline.servingPlaces" .root | fromYaml) .namespace) -}}
annotations: {helm.sh/resource-policy: keep}
{{- end -}}
{{- end }}

{{/* Labels of a namespace in which nothing runs that Pod Security calls less than restricted */}}
{{- define "loopline.restricted" -}}
pod-security.kubernetes.io/enforce: restricted
pod-security.kubernetes.io/warn: restricted
pod-security.kubernetes.io/audit: restricted
{{- end }}

{{/* "yes" where a team's runs are pods: then who starts and ends runs speaks with Kubernetes */}}
{{- define "loopline.startsPods" -}}
{{- range $name, $given := .Values.teams }}
{{- if (include "loopline.team" (dict "root" $ "name" $name "team" $given) | fromYaml).runs.pods }}yes{{ end }}
{{- end }}
{{- end }}

{{/* A quantity as a number: 500Mi, "2", 0.5 */}}
{{- define "loopline.amount" -}}
{{- if kindIs "string" . -}}
{{- $factors := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{ mulf (regexFind "^[0-9.]+" . | float64) (get $factors (regexFind "[A-Za-z]*$" .)) }}
{{- else -}}{{ . }}
{{- end -}}
{{- end }}

{{/* Refuse amounts that are more than others of the same name: takes small, large (maps), of, and what each of them is called */}}
{{- define "loopline.atMost" -}}
{{- range $name, $small := .small }}
{{- $large := get ($.large | default dict) $name }}
{{- if and (ne (toString $large) "") (gt (include "loopline.amount" $small | float64) (include "loopline.amount" $large | float64)) }}
{{- fail (printf "%s.%s.%s: %v is more than %s.%s, %v. Raise the one, or lower the other" $.of $.called $name $small $.than $name $large) }}
{{- end }}
{{- end }}
{{- end }}

{{/* By the value that asks for them: kinds that are not Kubernetes' own */}}
{{- define "loopline.foreignKinds" -}}
{{- if eq .Values.certificates.source "cert-manager" }}
certificates.source: cert-manager.io/v1/Certificate
{{- end }}
{{- if .Values.monitoring.rules.enabled }}
monitoring.rules.enabled: monitoring.coreos.com/v1/PrometheusRule
{{- end }}
{{- if .Values.monitoring.serviceMonitors.enabled }}
monitoring.serviceMonitors.enabled: monitoring.coreos.com/v1/ServiceMonitor
{{- end }}
{{- if .Values.expose.enabled }}
expose.enabled: gateway.networking.k8s.io/v1/HTTPRoute
{{- end }}
{{- if eq .Values.mesh.kind "istio" }}
mesh.kind: security.istio.io/v1/AuthorizationPolicy
{{- else if eq .Values.mesh.kind "linkerd" }}
mesh.kind: policy.linkerd.io/v1beta3/Server
{{- end }}
{{- end }}
