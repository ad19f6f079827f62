#!/bin/sh
# install-deps.sh [build|test]...   (no argument: both)
# Installs what is missing on a Debian-like machine: `build` what compiles the probes and runs hopspan, `test` the
# proxies and tools of the tests and the demo. Does nothing, and needs no root, when all of it is there.
# No service is started or enabled. Exit: 0 all there, 3 something is missing and cannot be installed here.
set -eu

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
missing=

# want PACKAGE CHECK...: notes the package when the check fails.
want() {
  package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}
have() { command -v "$1"; }
have_libbpf() { ldconfig -p | grep -q 'libbpf\.so\.1' || ls /usr/lib/libbpf.so.1 /usr/lib64/libbpf.so.1; }
have_certificates() { [ -s /etc/ssl/certs/ca-certificates.crt ] || [ -d /etc/pki/tls/certs ] || [ -n "${SSL_CERT_FILE:-}" ]; }
have_header() { [ -e "/usr/include/$1" ]; }
have_nginx_stream() {
  for file in /usr/lib/nginx/modules /usr/lib64/nginx/modules /usr/share/nginx/modules; do
    [ -e "$file/ngx_stream_module.so" ] && return
  done
  nginx -V 2>&1 | tr ' ' '\n' | grep -qx -e '--with-stream'
}
have_chromium() { command -v chromium || command -v chromium-browser; }
have_pip() { python3 -m pip --version || python3 -c 'import venv, ensurepip'; }

[ $# -gt 0 ] || set -- build test
for group in "$@"; do
  case $group in
    build)
      want clang have clang
      want llvm have llvm-strip
      want libbpf-dev have_header bpf/bpf_helpers.h
      want linux-libc-dev have_header linux/bpf.h
      want libbpf1 have_libbpf
      want make have make
      want npm have npm
      want ca-certificates have_certificates
      ;;
    test)
      want bpftool have bpftool
      want nginx have nginx
      want libnginx-mod-stream have_nginx_stream
      want haproxy have haproxy
      want openssl have openssl
      want python3 have python3
      want python3-pip have_pip
      want curl have curl
      want prometheus have promtool
      want chromium have_chromium
      ;;
    *)
      echo "install-deps: unknown group '$group'; the groups are build and test." >&2
      exit 2
      ;;
  esac
done

[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
  echo "install-deps: missing (by Debian's names):$missing. This script installs on Debian-like machines only;" \
    "on Fedora: dnf install clang llvm libbpf-devel kernel-headers make npm ca-certificates bpftool nginx nginx-mod-stream haproxy" \
    "openssl python3-pip curl golang-github-prometheus chromium; on Alpine: apk add clang llvm libbpf-dev linux-headers make npm ca-certificates bpftool nginx" \
    "nginx-mod-stream haproxy openssl py3-pip curl prometheus chromium." >&2
  exit 3
fi
if [ "$(id -u)" != 0 ]; then
  echo "install-deps: missing:$missing. Run this script as root, or: apt-get install$missing" >&2
  exit 3
fi

# Debian starts a daemon when its package is installed, unless policy-rc.d says no (exit 101).
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  trap 'exit 1' INT TERM
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
fi

echo "install-deps: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of package names
install() { apt-get install -y --no-install-recommends $missing >&2; }
install || { apt-get update >&2 && install; }

# Nor at the next boot; only what came with this run, never a service that was there before.
if [ -d /run/systemd/system ]; then
  for service in nginx haproxy prometheus; do
    case " $missing " in *" $service "*) systemctl disable --quiet "$service" || true ;; esac
  done
fi
