{{/* The image, by its digest if there is one. */}}
{{- define "mcp-whittle.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Namespaces that are never looked at. */}}
{{- define "mcp-whittle.excluded" -}}
{{- range concat (list "kube-system" "kube-public" "kube-node-lease" .Release.Namespace) .Values.webhook.excludedNamespaces }}
- {{ . }}
{{- end }}
{{- end -}}
