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

{{/* Secrets whose entries are variables, each once */}}
{{- define "loopline.secrets" -}}
{{- $secrets := list -}}
{{- range $_, $store := .Values.stores -}}{{- with $store.secret -}}{{- $secrets = append $secrets . -}}{{- end -}}{{- end -}}
{{ concat $secrets .Values.environment.secrets | uniq | toJson }}
{{- end }}

{{- define "loopline.environmentText" -}}
{{ .Values.environment.text | default (.Files.Get "files/environment.yaml") }}
{{- end }}

{{/* Labels of a namespace in which nothing runs that Pod Security calls less than restricted */}}
{{- define "loopline.restricted" -}}
pod-security.kubernetes.io/enforce: restricted
pod-security.kubernetes.io/warn: restricted
pod-security.kubernetes.io/audit: restricted
{{- end }}
