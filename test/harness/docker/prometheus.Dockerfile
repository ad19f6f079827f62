# Stands in for prom/prometheus: its user, its volume and busybox' wget; Debian's release, which is older.
FROM stand-in/debian
RUN apt-get update && apt-get install -y --no-install-recommends busybox && ln -s busybox /usr/bin/wget \
  && cd /tmp && apt-get download prometheus \
  && dpkg-deb --fsys-tarfile prometheus_*.deb | tar x ./usr/bin/prometheus \
  && mv usr/bin/prometheus /usr/bin/ && rm -rf /tmp/* /var/lib/apt/lists/* \
  && mkdir /prometheus && chown nobody:nogroup /prometheus
USER nobody
VOLUME /prometheus
WORKDIR /prometheus
ENTRYPOINT ["/bin/prometheus"]
