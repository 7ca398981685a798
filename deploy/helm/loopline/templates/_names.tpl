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

{{/* A team's values over the defaults, as YAML. An own image replaces the platform's whole. */}}
{{- define "loopline.team" -}}
{{- $team := mergeOverwrite (deepCopy .root.Values.teamDefaults) (.team | default dict | deepCopy) -}}
{{- $_ := set $team "namespace" ($team.namespace | default (printf "%s-%s" .root.Release.Namespace (.name | replace "_" "-"))) -}}
{{- if not $team.image.repository -}}{{- $_ := set $team "image" .root.Values.image -}}{{- end -}}
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
      "LOOPLINE_SECRET" $root.Values.stores.secret -}}
{{- if $root.Values.expose.enabled -}}
{{- $_ := set $known "LOOPLINE_GATEWAY" (printf "%s/%s" $root.Values.expose.gateway.namespace $root.Values.expose.gateway.name) -}}
{{- with $root.Values.expose.hostnames -}}{{- $_ := set $known "LOOPLINE_MODELS_URL" (printf "https://%s" (first .)) -}}{{- end -}}
{{- end -}}
{{- range $name, $value := merge (dict) $root.Values.environment.variables $known -}}
{{- $text = regexReplaceAllLiteral (printf "\\$\\{%s(:-[^}]*)?\\}" $name) $text (toString $value) -}}
{{- end -}}
{{- $text = $text | replace "../prices/" "" -}}
{{- if $root.Values.promotions.enabled -}}
{{- $said := dict "folder" "/etc/loopline-promotions" "required" $root.Values.promotions.required -}}
{{- $text = merge (dict "promotions" $said) ($text | fromYaml) | toYaml -}}
{{- end -}}
{{- if $root.Values.serving.keys -}}
{{- $text = include "loopline.keyed" (dict "text" $text "keys" $root.Values.serving.keys) -}}
{{- end -}}
{{ $text }}
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
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .account }}
  namespace: {{ .namespace }}
  labels: {{- include "loopline.allLabels" . | nindent 4 }}
  {{- with mergeOverwrite (deepCopy .root.Values.serviceAccount.annotations) (.annotations | default dict) }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
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
