import { after } from 'node:test';
import { describeOutcomes } from '../harness/outcome-suite.ts';
import { stopLeftovers } from '../harness/process.ts';
import { startHaproxy, startNginxStream } from '../harness/proxies.ts';

after(stopLeftovers);
describeOutcomes('nginx', startNginxStream);
describeOutcomes('haproxy', startHaproxy);
