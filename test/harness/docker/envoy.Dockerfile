# Stands in for envoyproxy/envoy: started by root, Envoy itself runs as the user envoy.
FROM stand-in/debian
RUN groupadd --gid 101 envoy && useradd --uid 101 --gid envoy --no-create-home envoy
COPY envoy /usr/local/bin/envoy
ENTRYPOINT ["setpriv", "--reuid=envoy", "--regid=envoy", "--clear-groups"]
CMD ["envoy", "-c", "/etc/envoy/envoy.yaml"]
