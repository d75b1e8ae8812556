// Validates CSAF 2.0 documents by the schema and the mandatory tests (CSAF 2.0, 6.1): `node validate.mjs FILE…`.
// Prints one line of JSON for each file: its name and the faults. Run where the packages are installed.
import { readFileSync } from 'node:fs'
import * as mandatory from '@secvisogram/csaf-validator-lib/mandatoryTests.js'
import { csaf_2_0_strict } from '@secvisogram/csaf-validator-lib/schemaTests.js'
import validate from '@secvisogram/csaf-validator-lib/validate.js'

const tests = [csaf_2_0_strict, ...Object.values(mandatory)]
for (const file of process.argv.slice(2)) {
  const result = await validate(tests, JSON.parse(readFileSync(file, 'utf8')))
  const faults = result.tests.filter((test) => !test.isValid).map((test) => [test.name, test.errors])
  console.log(JSON.stringify({ file, tests: tests.length, faults }))
}
