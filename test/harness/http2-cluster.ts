/** Envoy's cluster speaks HTTP/2 to these. */
export function http2Cluster(ports: readonly number[] = []): Record<string, unknown> {
  const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  return {
    typed_extension_protocol_options: {
      [options]: {
        '@type': `type.googleapis.com/${options}`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    ...(ports.length === 0
      ? {}
      : {
          load_assignment: {
            cluster_name: 'upstream_0',
            endpoints: [
              {
                lb_endpoints: ports.map((port) => ({
                  endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
                })),
              },
            ],
          },
        }),
  };
}
