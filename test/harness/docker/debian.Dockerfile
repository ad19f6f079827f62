# Stands in for debian:bookworm-slim: the same packages, and the rules by which Debian's images keep no caches of apt.
FROM stand-in/bookworm
RUN printf '%s\n' 'Dir::Cache::pkgcache "";' 'Dir::Cache::srcpkgcache "";' \
  'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };' >/etc/apt/apt.conf.d/docker-clean
# This machine's authorities, which may be other ones than Debian's.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
CMD ["bash"]
