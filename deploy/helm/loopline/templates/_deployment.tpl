{{/*
A Deployment of one of our processes. Takes: root, component, namespace, values (replicas, resources), arguments (what
follows python -m), image, account; and maybe port (name: number), probes, recreate, secrets,
mounts, variables, token, grace.
*/}}
{{- define "loopline.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "loopline.fullname" . }}
  namespace: {{ .namespace }}
  labels: {{- include "loopline.allLabels" . | nindent 4 }}
spec:
  replicas: {{ .values.replicas | default 1 }}
  revisionHistoryLimit: 3
  selector:
    matchLabels: {{- include "loopline.labels" . | nindent 6 }}
  strategy:
    {{- if .recreate }}
    type: Recreate
    {{- else }}
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
    {{- end }}
  template:
    metadata:
      labels:
        {{- include "loopline.labels" . | nindent 8 }}
        {{- with .root.Values.podLabels }}{{ toYaml . | nindent 8 }}{{ end }}
        {{- if eq .root.Values.mesh.kind "istio" }}
        sidecar.istio.io/inject: "true"
        {{- end }}
      annotations:
        {{- if eq .root.Values.mesh.kind "linkerd" }}
        linkerd.io/inject: enabled
        {{- end }}
        {{- with .root.Values.podAnnotations }}{{ toYaml . | nindent 8 }}{{ end }}
        loopline.dev/environment: {{ include "loopline.environmentText" (dict "root" .root "place" .) | sha256sum | trunc 16 | quote }} # a change starts it anew
    spec: {{- include "loopline.pod" . | nindent 6 }}
{{- end }}

{{- define "loopline.pod" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .grace | default 45 }}
{{- if .never }}
restartPolicy: Never
{{- end }}
securityContext:
  {{- toYaml (merge (dict) .root.Values.podSecurityContext (dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault"))) | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.scheduling.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- $extra := include "loopline.podTemplate" .root | fromYaml }}
{{- with $extra.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.scheduling.priorityClass }}
priorityClassName: {{ . }}
{{- end }}
tolerations: # a node that is silent is left after half a minute, not after five
  - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
  - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
  {{- with .root.Values.scheduling.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "loopline.labels" $ | nindent 8 }}
  {{- end }}
containers:
  - name: {{ .component | trunc 63 }}
    {{- include "loopline.container" . | nindent 4 }}
volumes:
  - name: home
    emptyDir: {sizeLimit: 10Gi}
  - name: scratch
    emptyDir: {sizeLimit: 10Gi}
  - name: environment
    configMap: {name: {{ .map | default (printf "%s-environment" .root.Release.Name) }}}
  {{- if eq .namespace .root.Release.Namespace }}
  - name: workspace # a folder: what changes in it is followed
    configMap: {name: {{ .root.Release.Name }}-workspace}
  {{- end }}
  {{- if include "loopline.promoted" . }}
  - name: promotions # wished of nothing yet: an empty folder, in which files appear within two minutes
    configMap: {name: {{ .root.Values.promotions.map }}, optional: true}
  {{- end }}
  {{- range $claim, $_ := .claims }}
  - name: claim-{{ $claim }}
    persistentVolumeClaim: {claimName: {{ $claim }}}
  {{- end }}
  {{- range $secret, $_ := include "loopline.mounts" . | fromYaml }}
  - name: secret-{{ $secret }}
    secret: {secretName: {{ $secret }}, defaultMode: 0440}
  {{- end }}
  {{- with $extra.volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "loopline.container" -}}
image: {{ include "loopline.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command: [{{ .root.Values.image.python | quote }}, -m]
args: {{- toYaml .arguments | nindent 2 }}
env:
  {{- range $name, $value := merge (dict) (.variables | default dict) .root.Values.environment.variables (include "loopline.trust" .root | fromYaml) (include "loopline.variables" .root | fromYaml) }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
envFrom:
  {{- range concat (list .root.Values.stores.secret) .root.Values.environment.secrets (.secrets | default list) | uniq }}
  - secretRef: {name: {{ . }}}
  {{- end }}
{{- with .port }}
ports:
  {{- range $name, $number := . }}
  - {name: {{ $name }}, containerPort: {{ $number }}}
  {{- end }}
{{- if not $.recreate }} # another one answers already
lifecycle:
  preStop: {sleep: {seconds: 15}} # until every proxy knows that this one ends
{{- end }}
{{- end }}
{{- with .probes }}
{{- toYaml . | nindent 0 }}
{{- end }}
resources: {{- toYaml .values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: home, mountPath: /var/lib/loopline}
  - {name: scratch, mountPath: /tmp}
  - {name: environment, mountPath: /etc/loopline, readOnly: true}
  {{- if eq .namespace .root.Release.Namespace }}
  - {name: workspace, mountPath: /etc/loopline-workspace, readOnly: true}
  {{- end }}
  {{- if include "loopline.promoted" . }}
  - {name: promotions, mountPath: /etc/loopline-promotions/{{ .team }}, readOnly: true}
  {{- end }}
  {{- range $claim, $path := .claims }}
  - {name: claim-{{ $claim }}, mountPath: {{ $path }}}
  {{- end }}
  {{- range $secret, $path := include "loopline.mounts" . | fromYaml }}
  - {name: secret-{{ $secret }}, mountPath: {{ $path }}, readOnly: true}
  {{- end }}
  {{- with (include "loopline.podTemplate" .root | fromYaml).volume_mounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Whether a pod is a team's code location and carries out what was merged */}}
{{- define "loopline.promoted" -}}
{{- if and .team .root.Values.promotions.enabled }}yes{{ end -}}
{{- end }}

{{/* Secrets as files: the component's own, and the certificates if there are any */}}
{{- define "loopline.mounts" -}}
{{- $mounts := .mounts | default dict -}}
{{- if ne .root.Values.certificates.source "none" -}}
{{- $mounts = merge (dict .root.Values.certificates.secret "/etc/loopline-tls") $mounts -}}
{{- end -}}
{{ toYaml $mounts }}
{{- end }}

{{/* Variables of every process of ours */}}
{{- define "loopline.variables" -}}
HOME: /tmp
LOOPLINE_HOME: /var/lib/loopline
LOOPLINE_ENVIRONMENT: /etc/loopline/environment.yaml
LOOPLINE_LOG: json
LOOPLINE_WORKSPACE: /etc/loopline-workspace/workspace.yaml
LOOPLINE_HOSTS: {{ include "loopline.hosts" . }}
{{- if or .Values.webserver.url (not .Values.portal.url) }}
LOOPLINE_DAGSTER_URL: {{ .Values.webserver.url | default (include "loopline.dagster" .) }} # of links in alarms
{{- end }}
{{- with .Values.portal.url }}
LOOPLINE_PORTAL_URL: {{ . }}
{{- end }}
PYTHONUNBUFFERED: "1"
PYTHONDONTWRITEBYTECODE: "1"
PYTHONWARNINGS: ignore
GIT_PYTHON_REFRESH: quiet
OMP_NUM_THREADS: "1"
{{- end }}

{{/* Where the cluster's own pods ask Dagster's web server */}}
{{- define "loopline.dagster" -}}
http://{{ .Release.Name }}-webserver.{{ .Release.Namespace }}.svc:3000
{{- end }}

{{/* Names by which our web servers may be asked: those of their Services, and what the values add */}}
{{- define "loopline.hosts" -}}
{{- $root := . -}}
{{- $hosts := list -}}
{{- range $component := list "webserver" "portal" "features" -}}
{{- $service := printf "%s-%s" $root.Release.Name $component -}}
{{- $hosts = concat $hosts (list $service (printf "%s.%s" $service $root.Release.Namespace) (printf "%s.%s.svc" $service $root.Release.Namespace) (printf "%s.%s.svc.cluster.local" $service $root.Release.Namespace)) -}}
{{- end -}}
{{- range list .Values.portal.url .Values.webserver.url -}}
{{- with . }}{{ $hosts = append $hosts (urlParse .).hostname }}{{ end -}}
{{- end -}}
{{ concat $hosts .Values.portal.names .Values.features.names .Values.expose.hostnames | uniq | join "," }}
{{- end }}

{{/* A Service in front of a component; takes root, component, namespace, port (name: number) */}}
{{- define "loopline.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "loopline.fullname" . }}
  namespace: {{ .namespace }}
  labels: {{- include "loopline.allLabels" . | nindent 4 }}
spec:
  selector: {{- include "loopline.labels" . | nindent 4 }}
  ports:
    {{- range $name, $number := .port }}
    - {name: {{ $name }}, port: {{ $number }}, targetPort: {{ $name }}{{ if eq $name "grpc" }}, appProtocol: kubernetes.io/h2c{{ end }}}
    {{- end }}
{{- end }}

{{/* One pod at a time may be taken away on purpose; a single one may, for it comes back elsewhere */}}
{{- define "loopline.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "loopline.fullname" . }}
  namespace: {{ .namespace }}
  labels: {{- include "loopline.allLabels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "loopline.labels" . | nindent 6 }}
{{- end }}

{{/* A process without a port: takes root, file (its sign of life) and seconds after which that is too old */}}
{{- define "loopline.aliveProbes" -}}
{{- $look := printf "import os, sys, time; sys.exit(time.time() - os.stat('/var/lib/loopline/%s').st_mtime > %d)" .file (int .seconds) -}}
{{- $exec := dict "command" (list .root.Values.image.python "-S" "-c" $look) -}}
startupProbe: {{ dict "exec" $exec "periodSeconds" 5 "timeoutSeconds" 10 "failureThreshold" 120 | toJson }}
livenessProbe: {{ dict "exec" $exec "periodSeconds" 30 "timeoutSeconds" 10 "failureThreshold" 3 | toJson }}
{{- end }}

{{/* An HTTP process: ready says whether it may be asked, alive whether it hangs */}}
{{- define "loopline.httpProbes" -}}
startupProbe:
  tcpSocket: {port: http}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 300
readinessProbe:
  httpGet: {path: {{ .ready }}, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
livenessProbe:
  httpGet: {path: {{ .alive }}, port: http}
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}
