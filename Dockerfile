# hopspan in a container:   docker build -t hopspan .
# The tour's applications:  docker build --target demo -t hopspan-demo .

# Compiler, headers, npm: what only building needs.
FROM node:24-bookworm-slim AS build
RUN apt-get update \
  && apt-get install -y --no-install-recommends clang llvm libbpf-dev libbpf1 linux-libc-dev make ca-certificates \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /usr/lib/hopspan
# Before the sources, so that a change in them does not fetch all packages anew.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-progress
COPY Makefile tsconfig.json tsconfig.build.json ./
COPY scripts/install-deps.sh scripts/
COPY bin bin
COPY bpf bpf
COPY proto proto
COPY src src
RUN make build

# The client and the backend of the tour, with the OpenTelemetry SDK.
FROM build AS demo
COPY demo demo
USER node
ENTRYPOINT []
CMD ["node", "demo/backend.ts", "--host", "0.0.0.0", "--port", "8080"]

# What running needs, without Node from npm: the image has one.
FROM build AS modules
RUN npm prune --omit=dev && rm -rf node_modules/node-linux-*

FROM node:24-bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends libbpf1 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /usr/lib/hopspan
COPY --from=build /usr/lib/hopspan/package.json ./
COPY --from=build /usr/lib/hopspan/bin bin
COPY --from=build /usr/lib/hopspan/proto proto
COPY --from=build /usr/lib/hopspan/dist dist
COPY --from=modules /usr/lib/hopspan/node_modules node_modules
COPY LICENSE THIRD_PARTY.md ./
COPY LICENSES LICENSES
COPY otel-config/hopspan.yaml /etc/hopspan/hopspan.yaml
# A volume that is new takes its owner from here.
RUN ln -s /usr/lib/hopspan/bin/hopspan /usr/local/bin/hopspan \
  && install -d -m 0700 -o 65532 -g 65532 /var/lib/hopspan
# Begins as root of the container, since Docker and Kubernetes give capabilities to no other user. Run it as
# docker-compose.yml does: all capabilities dropped but those in docs/privileges.md, which setpriv passes on to a user
# that owns nothing, with no-new-privileges and a read-only root.
ENV NODE_ENV=production
ENTRYPOINT ["hopspan"]
CMD ["run", "--config", "/etc/hopspan/hopspan.yaml"]
