# Sourced by the scripts that build programs of others with Go; they set $wanted, the version of Go that these name.

# True when the Go found is at least $wanted.
go_is_new_enough() {
  command -v go >/dev/null 2>&1 || return 1
  found=$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//')
  [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ]
}

# Debian's Go may be too old, but fetches and verifies the one that is not: toolchains are Go modules.
go_toolchain=go1.26.8
fetch_go() {
  [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
  echo "${0##*/}: fetching $go_toolchain" >&2
  command -v go >/dev/null 2>&1 || DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends golang-go >&2 ||
    { apt-get update >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends golang-go >&2; } ||
    return 1
  folder_of_go=$(go mod download -json "golang.org/toolchain@v0.0.1-$go_toolchain.linux-$(go env GOARCH)" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  [ -n "$folder_of_go" ] || return 1
  # A module's files come without the permission to run them.
  chmod +x "$folder_of_go"/bin/* "$folder_of_go"/pkg/tool/*/*
  PATH=$folder_of_go/bin:$PATH
  go_is_new_enough
}

docker_answers() {
  command -v docker >/dev/null 2>&1 && docker version >/dev/null 2>&1
}

# Copies the program that the image $1 starts to $2.
take_out_of_image() {
  container=$(docker create "$1")
  entry=$(docker inspect --format '{{index .Config.Entrypoint 0}}' "$container")
  docker cp --follow-link "$container:$entry" "$2" >&2 || {
    docker rm "$container" >/dev/null
    return 1
  }
  docker rm "$container" >/dev/null
  chmod 755 "$2"
}

# Makes $folder and in it the temporary folder $work: the rename in the same file system is atomic.
prepare() {
  mkdir -p "$folder"
  work=$(mktemp -d "$folder/.build.XXXXXX")
  trap 'rm -rf "$work"' EXIT INT TERM
}
