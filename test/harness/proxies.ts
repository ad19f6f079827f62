/** Real proxies for tests and for the demo: each is a process that this one starts and ends. */
export {
  type EnvoyLogEntry,
  type EnvoyOptions,
  type EnvoyProxy,
  envoyBinary,
  http2Cluster,
  startEnvoy,
} from './envoy.ts';
export { type HaproxyOptions, startHaproxy } from './haproxy.ts';
export { type NginxOptions, startNginxStream } from './nginx.ts';
export type { Listener, ListenerOptions, ProxyLogEntry, ProxyOptions, RunningProxy } from './proxy.ts';
