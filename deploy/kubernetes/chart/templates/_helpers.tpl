{{- define "gateway.labels" -}}
app.kubernetes.io/name: filestore-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: filestore-gateway
{{- end }}

{{- define "gateway.pods" -}}
app.kubernetes.io/name: filestore-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "gateway.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "gateway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "gateway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* One variable of a key of the Secret: list of variable, key, whether it may be missing. */}}
{{- define "gateway.secret" -}}
- name: {{ index .item 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.existingSecret }}
      key: {{ index .item 1 }}
      optional: {{ index .item 2 }}
{{- end }}
