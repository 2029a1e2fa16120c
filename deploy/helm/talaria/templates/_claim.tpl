{{- define "talaria.claim" -}}
accessModes:
  - {{ .Values.persistence.accessMode | quote }}
resources:
  requests:
    storage: {{ .Values.persistence.size | quote }}
{{- with .Values.persistence.storageClass }}
storageClassName: {{ eq . "-" | ternary "" . | quote }}
{{- end }}
{{- end -}}
