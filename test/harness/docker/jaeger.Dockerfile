# Stands in for jaegertracing/jaeger: its user; no shell, no web UI.
FROM scratch
COPY jaeger /cmd/jaeger/jaeger-linux
USER 10001
ENTRYPOINT ["/cmd/jaeger/jaeger-linux"]
