# Stands in for node:24-bookworm-slim: node and npm under /usr/local, the user node.
FROM stand-in/debian
RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
COPY node /usr/local/bin/node
ADD npm.tgz /usr/local/lib/node_modules/
RUN cd /usr/local && mv lib/node_modules/package lib/node_modules/npm && mkdir -p etc \
  && ln -s ../lib/node_modules/npm/bin/npm-cli.js bin/npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js bin/npx \
  && chmod +x lib/node_modules/npm/bin/*.js && echo cafile=/etc/ssl/certs/ca-certificates.crt >etc/npmrc
CMD ["node"]
