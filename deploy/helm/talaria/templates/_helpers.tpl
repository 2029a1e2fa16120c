{{- define "talaria.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* The name of the release, with that of the chart unless it has it already. */ -}}
{{- define "talaria.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "talaria.selectorLabels" -}}
app.kubernetes.io/name: {{ include "talaria.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "talaria.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "talaria.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- /* A value of the existing chart's file may name this template. */ -}}
{{- define "mercure.selectorLabels" -}}
{{- include "talaria.selectorLabels" . -}}
{{- end -}}

{{- define "talaria.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "talaria.fullname" .) "default") -}}
{{- end -}}

{{- define "talaria.secretName" -}}
{{- tpl (.Values.existingSecret | default (include "talaria.fullname" .)) . -}}
{{- end -}}

{{- define "talaria.adminPort" -}}
{{- .Values.adminPort | default .Values.metrics.port -}}
{{- end -}}

{{- /* Whether two pods never run at once: they cannot have one history open. */ -}}
{{- define "talaria.strategy" -}}
{{- .Values.updateStrategy.type | default (.Values.persistence.enabled | ternary "Recreate" "RollingUpdate") -}}
{{- end -}}

{{- /*
The key of a role: the value, else that of the installed release, else a random one. Without the second an
upgrade would make every token invalid.
*/ -}}
{{- define "talaria.key" -}}
{{- $installed := (lookup "v1" "Secret" .root.Release.Namespace (include "talaria.fullname" .root)).data | default dict -}}
{{- if .value -}}
{{- .value | b64enc -}}
{{- else -}}
{{- get $installed .key | default (randAlphaNum 48 | b64enc) -}}
{{- end -}}
{{- end -}}
