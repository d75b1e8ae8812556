// Lints the published contract: node lint.mjs DIRECTORY. `make contract` copies this file beside the linters.
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const here = dirname(fileURLToPath(import.meta.url));
const directory = resolve(process.argv[2]);
const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const faults = [];

function compile() {
  const types = readdirSync(directory).filter((name) => name.endsWith('.schema.json'));
  for (const name of types) {
    const warn = (...text) => faults.push(`${name}: ${text.join(' ')}`);
    const ajv = new Ajv2020.default({ logger: { log() {}, warn, error: warn } });
    addFormats.default(ajv);
    try {
      const validate = ajv.compile(read(join(directory, name)));
      const type = name.replace('.schema.json', '');
      for (const version of readdirSync(join(directory, 'examples'))) {
        const example = read(join(directory, 'examples', version, `${type}.json`));
        if (!validate(example)) faults.push(`${name}: the example ${version}: ${ajv.errorsText(validate.errors)}`);
        if (validate({ ...example, type: 'other' })) faults.push(`${name}: takes a document of another type`);
      }
    } catch (error) {
      faults.push(`${name}: ${error.message}`);
    }
  }
  return types.length;
}

function patterns() {
  let count = 0;
  const walk = (value, at) => {
    if (value === null || typeof value !== 'object') return;
    for (const [name, inner] of Object.entries(value)) {
      if (name === 'pattern' && typeof inner === 'string') {
        count += 1;
        try {
          new RegExp(inner, 'u');
        } catch (error) {
          faults.push(`${at}: ${error.message}`);
        }
      } else walk(inner, `${at}/${name}`);
    }
  };
  for (const name of readdirSync(directory)) {
    if (name.endsWith('.json')) walk(read(join(directory, name)), name);
  }
  return count;
}

function run(name, ...args) {
  const { status, stdout, stderr } = spawnSync(join(here, 'node_modules', '.bin', name), args, {
    cwd: here,
    encoding: 'utf8',
    env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
    maxBuffer: 64 * 1_048_576,
  });
  if (status !== 0) faults.push(`${name} ${args[2] ?? ''}\n${stdout}${stderr}`);
}

const openapi = join(directory, 'openapi.json');
console.log(`${compile()} schemas compiled by Ajv, ${patterns()} patterns by ECMA-262`);
for (const ruleset of ['spectral.yaml', 'adr.yaml']) {
  run('spectral', 'lint', '--ruleset', ruleset, '--fail-severity', 'hint', '--quiet', openapi);
  console.log(`Spectral, ${ruleset}: done`);
}
run('redocly', 'lint', '--config', 'redocly.yaml', '--format', 'stylish', openapi);
console.log('Redocly: done');
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);
