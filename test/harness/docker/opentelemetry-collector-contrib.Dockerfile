# Stands in for otel/opentelemetry-collector-contrib: its user; no shell, and fewer components.
FROM scratch
COPY otelcol /otelcol-contrib
USER 10001
ENTRYPOINT ["/otelcol-contrib"]
CMD ["--config", "/etc/otelcol-contrib/config.yaml"]
