{{- define "pgbackup.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}-operator
{{- end }}

{{- define "pgbackup.selector" -}}
app.kubernetes.io/name: pgbackup-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pgbackup.labels" -}}
{{ include "pgbackup.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
