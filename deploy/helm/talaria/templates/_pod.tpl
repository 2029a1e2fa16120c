{{- /* A variable whose value is in the secret; one that the secret lacks is not set. */ -}}
{{- define "talaria.fromSecret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ include "talaria.secretName" .root }}
      key: {{ .key }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{- end -}}

{{- define "talaria.fromConfigMap" -}}
- name: {{ .name }}
  valueFrom:
    configMapKeyRef:
      name: {{ include "talaria.fullname" .root }}
      key: {{ .key }}
{{- end -}}

{{- define "talaria.environment" -}}
{{- $admin := include "talaria.adminPort" . -}}
- name: SERVER_NAME
  value: {{ printf ":%v" .Values.service.targetPort | quote }}
{{- if or .Values.adminHost (ne $admin "2019") }}
- name: CADDY_ADMIN
  value: {{ printf "%s:%s" (.Values.adminHost | default "localhost") $admin | quote }}
{{- end }}
{{ include "talaria.fromConfigMap" (dict "root" . "name" "GLOBAL_OPTIONS" "key" "global-options") }}
{{ include "talaria.fromSecret" (dict "root" . "name" "MERCURE_PUBLISHER_JWT_KEY" "key" "publisher-jwt-key") }}
{{ include "talaria.fromConfigMap" (dict "root" . "name" "MERCURE_PUBLISHER_JWT_ALG" "key" "publisher-jwt-alg") }}
{{ include "talaria.fromSecret" (dict "root" . "name" "MERCURE_SUBSCRIBER_JWT_KEY" "key" "subscriber-jwt-key") }}
{{ include "talaria.fromConfigMap" (dict "root" . "name" "MERCURE_SUBSCRIBER_JWT_ALG" "key" "subscriber-jwt-alg") }}
{{- with .Values.trustedIssuers }}
- name: MERCURE_TRUSTED_ISSUERS
  value: {{ . | quote }}
{{- end }}
{{ include "talaria.fromSecret" (dict "root" . "name" "MERCURE_EXTRA_DIRECTIVES" "key" "extra-directives" "optional" true) }}
{{ include "talaria.fromSecret" (dict "root" . "name" "CADDY_EXTRA_CONFIG" "key" "caddy-extra-config" "optional" true) }}
{{ include "talaria.fromSecret" (dict "root" . "name" "CADDY_SERVER_EXTRA_DIRECTIVES" "key" "caddy-extra-directives" "optional" true) }}
{{ include "talaria.fromSecret" (dict "root" . "name" "MERCURE_LICENSE" "key" "license" "optional" true) }}
{{- if or .Values.transportUrl .Values.existingSecret }}
{{ include "talaria.fromSecret" (dict "root" . "name" "MERCURE_TRANSPORT_URL" "key" "transport-url" "optional" true) }}
{{- end }}
{{- with .Values.extraEnvs }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The program asks, because the minimal image has nothing else that could. */ -}}
{{- define "talaria.asks" -}}
exec:
  command: ["talaria", "healthcheck", "--url", "http://127.0.0.1:{{ include "talaria.adminPort" .root }}/mercure/health/{{ .question }}"]
{{- end -}}

{{- define "talaria.probes" -}}
{{- if .Values.healthCheck.enabled -}}
startupProbe:
  {{- include "talaria.asks" (dict "root" . "question" "live") | nindent 2 }}
  {{- toYaml .Values.healthCheck.startup | nindent 2 }}
readinessProbe:
  {{- include "talaria.asks" (dict "root" . "question" (.Values.healthCheck.readinessAsks | default "ready")) | nindent 2 }}
  {{- toYaml .Values.healthCheck.readiness | nindent 2 }}
livenessProbe:
  {{- include "talaria.asks" (dict "root" . "question" "live") | nindent 2 }}
  {{- toYaml .Values.healthCheck.liveness | nindent 2 }}
{{- else -}}
readinessProbe:
  httpGet:
    path: /healthz
    port: http
livenessProbe:
  httpGet:
    path: /healthz
    port: http
{{- end }}
{{- end -}}

{{- define "talaria.container" -}}
- name: {{ .Chart.Name }}
  image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- with .Values.securityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  env:
    {{- include "talaria.environment" . | nindent 4 }}
  {{- with .Values.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - name: http
      containerPort: {{ .Values.service.targetPort }}
      protocol: TCP
    - name: admin
      containerPort: {{ include "talaria.adminPort" . }}
      protocol: TCP
  {{- include "talaria.probes" . | nindent 2 }}
  {{- if .Values.shutdownDelaySeconds }}
  # The proxies of the cluster learn that the pod ends at the same time as the pod does.
  lifecycle:
    preStop:
      {{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
      sleep:
        seconds: {{ .Values.shutdownDelaySeconds }}
      {{- else }}
      exec:
        command: ["sleep", {{ .Values.shutdownDelaySeconds | quote }}]
      {{- end }}
  {{- end }}
  {{- with .Values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    - name: data
      mountPath: /data
    - name: config
      mountPath: /config
    - name: tmp
      mountPath: /tmp
    {{- if .Values.configuration }}
    - name: configuration
      mountPath: /etc/caddy/Caddyfile
      subPath: Caddyfile
      readOnly: true
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "talaria.volumes" -}}
{{- if not .Values.persistence.enabled }}
- name: data
  emptyDir: {}
{{- else if or (eq .Values.kind "Deployment") .Values.persistence.existingClaim }}
- name: data
  persistentVolumeClaim:
    claimName: {{ .Values.persistence.existingClaim | default (include "talaria.fullname" .) }}
{{- end }}
- name: config
  emptyDir: {}
- name: tmp
  emptyDir: {}
{{- if .Values.configuration }}
- name: configuration
  configMap:
    name: {{ include "talaria.fullname" . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "talaria.pod" -}}
metadata:
  annotations:
    # New variables need a new pod.
    checksum/configmap: {{ include (print .Template.BasePath "/configmap.yaml") . | sha256sum }}
    checksum/secret: {{ include "talaria.secretChecksum" . }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- with omit .Values.podLabels "app.kubernetes.io/component" }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "talaria.labels" . | nindent 4 }}
    # By which the network policies find it, and not the pod of the chart's test.
    app.kubernetes.io/component: server
spec:
  serviceAccountName: {{ include "talaria.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automount }}
  # The hub would read variables of services that have its variables' names.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    {{- include "talaria.container" . | nindent 4 }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- tpl (kindIs "string" . | ternary . (toYaml .)) $ | nindent 4 }}
  {{- end }}
  volumes:
    {{- include "talaria.volumes" . | trim | nindent 4 }}
{{- end -}}

{{- /* A random key is made anew where the cluster is not asked, so it is not part of the sum. */ -}}
{{- define "talaria.secretChecksum" -}}
{{- $values := pick .Values "dev" "extraDirectives" "caddyExtraConfig" "caddyExtraDirectives" "transportUrl" "publisherJwtKey" "subscriberJwtKey" "existingSecret" -}}
{{- toYaml $values | sha256sum -}}
{{- end -}}
