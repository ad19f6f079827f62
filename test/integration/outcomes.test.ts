import { after } from 'node:test';
import { describeOutcomes } from '../harness/outcome-suite.ts';
import { stopLeftovers } from '../harness/process.ts';
import { startEnvoy } from '../harness/proxies.ts';

after(stopLeftovers);
describeOutcomes('envoy', startEnvoy);
