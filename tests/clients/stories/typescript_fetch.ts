// The story with OpenAPI Generator's typescript-fetch; its steps are those of tests/clients/__init__.py.
import process from "node:process";
import {
  Configuration,
  DeploymentsApi,
  ExposureApi,
  FeedsApi,
  GroupsApi,
  IncidentsApi,
  MembershipsApi,
  NodeApi,
  OperatorsApi,
  ResponseError,
  SolutionsApi,
  StatementsApi,
} from "./client/index.js";
import type { SolutionInput, Total } from "./client/index.js";

const env = (name: string): string => process.env[name] ?? fail(`${name} is not set`);
const [NODE, OPERATOR, PREFIX] = [env("NODE_URL"), env("OPERATOR"), env("PREFIX")];
const SOLUTION = `${PREFIX}-glpi`;
const DEPLOYMENT = `${PREFIX}-glpi-shared`;
const INCIDENT = `${PREFIX}-2026-0042`;

function fail(text: string): never {
  throw new Error(text);
}

function expect(holds: boolean, text: string): asserts holds {
  if (!holds) fail(text);
}

/** The ETag of a record that was created. */
function created(answer: { raw: Response }): string {
  expect(answer.raw.status === 201, `${answer.raw.status}`);
  return answer.raw.headers.get("etag") ?? fail("no ETag");
}

// docs: begin
/** A client with an access token, which is good for five minutes. */
async function connect(): Promise<Configuration> {
  const [username, password] = [env("CLIENT_ID"), env("CLIENT_SECRET")];
  const node = new NodeApi(new Configuration({ basePath: NODE, username, password }));
  const token = await node.getToken({ grantType: "client_credentials" });
  return new Configuration({ basePath: NODE, accessToken: `Bearer ${token.accessToken}` });
}

/** The keys of all solutions, page by page, in an order in which a revision loses nothing. */
async function allSolutions(configuration: Configuration): Promise<string[]> {
  const solutions = new SolutionsApi(configuration);
  const keys: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await solutions.listSolutions({ sort: "id", limit: 3, ...(after && { after }) });
    keys.push(...page.items.map((document) => document.key));
    if (!page.next) return keys;
    after = new URL(page.next).searchParams.get("after") ?? fail(page.next);
  }
}
// docs: end

const aSolution = (name: string): SolutionInput => ({
  name,
  summary: { fr: "Gestion de parc", en: "Asset management" },
  kind: "software",
  status: "stable",
  licence: "GPL-3.0-or-later",
  themes: ["it-asset-management"],
  versionScheme: "generic",
});

/** Publish one record of each type but the statement; the ETag of the incident. */
async function publish(configuration: Configuration): Promise<string> {
  created(
    await new SolutionsApi(configuration).publishSolutionRaw({
      origin: OPERATOR,
      key: SOLUTION,
      solutionDraft: { content: aSolution("GLPI"), tlp: "CLEAR" },
    }),
  );
  const chalon = { identifiers: [{ scheme: "0002", value: "217100767" }], name: "Chalon-sur-Saône" };
  created(
    await new DeploymentsApi(configuration).publishDeploymentRaw({
      origin: OPERATOR,
      key: DEPLOYMENT,
      deploymentDraft: {
        content: {
          solution: `${OPERATOR}/${SOLUTION}`,
          status: "production",
          tenancy: "shared",
          hosting: { model: "operator", country: "FR" },
          coverage: { kind: "list", beneficiaries: [chalon] },
          version: "10.0.17",
          versionState: "exact",
          versionAsOf: new Date("2026-02-01T10:00:00+02:00"),
          since: new Date("2024-09-01"),
        },
      },
    }),
  );
  created(
    await new OperatorsApi(configuration).publishOperatorRaw({
      origin: OPERATOR,
      key: `${PREFIX}-operator`,
      operatorDraft: {
        content: {
          name: "L'ARNia",
          country: "FR",
          territory: ["FR-BFC"],
          contact: "contact@arnia.example.org",
          securityContact: "security@arnia.example.org",
        },
      },
    }),
  );
  created(
    await new GroupsApi(configuration).publishGroupRaw({
      origin: OPERATOR,
      key: `${PREFIX}-security`,
      groupDraft: { content: { name: "Cellule sécurité", members: ["megalis", "recia"] } },
    }),
  );
  created(
    await new MembershipsApi(configuration).publishMembershipRaw({
      origin: OPERATOR,
      key: `${PREFIX}-megalis`,
      membershipDraft: {
        content: {
          operator: "megalis",
          name: "Mégalis Bretagne",
          node: "https://megalis.example.org",
          thumbprint: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
          admittedAt: new Date("2026-02-01T10:00:00+02:00"),
        },
      },
    }),
  );
  return created(
    await new IncidentsApi(configuration).publishIncidentRaw({
      origin: OPERATOR,
      key: INCIDENT,
      incidentDraft: {
        content: {
          title: { fr: "GLPI : injection SQL", en: "GLPI: SQL injection" },
          summary: { fr: "Corrigé en 10.0.18.", en: "Fixed in 10.0.18." },
          kind: "vulnerability",
          status: "open",
          severity: "high",
          detectedAt: new Date("2026-03-01T10:00:00+02:00"),
          affects: [
            {
              solution: `${OPERATOR}/${SOLUTION}`,
              range: "vers:generic/>=10.0.0|<10.0.18",
              fixedIn: ["10.0.18"],
            },
          ],
        },
      },
    }),
  );
}

async function bulk(configuration: Configuration): Promise<number> {
  const uploadSolutionsRequestInner = [1, 2, 3, 4, 5].map((number) => ({
    key: `${PREFIX}-bulk-${number}`,
    content: aSolution(`Solution ${number}`),
  }));
  const report = await new SolutionsApi(configuration).uploadSolutions({ uploadSolutionsRequestInner });
  return report.summary?.created ?? fail(JSON.stringify(report.refused));
}

async function changedKeys(configuration: Configuration): Promise<Set<string>> {
  const keys = new Set<string>();
  for (let after: string | undefined; ; ) {
    const page = await new FeedsApi(configuration).followChanges({ limit: 10, ...(after && { after }) });
    for (const entry of page.entries) keys.add(entry.key);
    if (!page.more) return keys;
    after = page.cursor;
  }
}

async function exposure(configuration: Configuration): Promise<Total> {
  const found = await new ExposureApi(configuration).getIncidentExposure({ origin: OPERATOR, key: INCIDENT });
  return found.total;
}

const configuration = await connect();
console.log("token: got");
const etag = await publish(configuration);
console.log("publish: 6 records");
expect((await bulk(configuration)) === 5, "bulk");
console.log("bulk: 5 created");
const mine = (await allSolutions(configuration)).filter((key) => key.startsWith(`${PREFIX}-`));
expect(new Set(mine).size === 6, `list: ${mine}`);
console.log("list: 6 of mine");

const incidents = new IncidentsApi(configuration);
const severity = () =>
  incidents.patchIncident({
    origin: OPERATOR,
    key: INCIDENT,
    ifMatch: etag,
    incidentDraftPatch: { content: { severity: "critical" } },
  });
const revised = await severity();
expect("revision" in revised && revised.revision === 2, JSON.stringify(revised));
console.log("patch: revision 2");
const refused: unknown = await severity().catch((error: unknown) => error);
expect(refused instanceof ResponseError && refused.response.status === 412, String(refused));
console.log(`412: ${((await refused.response.json()) as { title: string }).title}`);

const appended = await incidents.appendIncidentUpdate({
  origin: OPERATOR,
  key: INCIDENT,
  updateDraft: {
    text: { fr: "Accès coupé.", en: "Access was cut." },
    at: new Date("2026-03-01T12:15:00+02:00"),
  },
});
expect("revision" in appended && appended.revision === 3, JSON.stringify(appended));
console.log("update: revision 3");

const changed = await changedKeys(configuration);
expect([...mine, DEPLOYMENT, INCIDENT].every((key) => changed.has(key)), "changes");
console.log("changes: all of mine");
const before = await exposure(configuration);
expect(before.affected.deployments === 1 && before.answered === 0, JSON.stringify(before));
console.log("exposure: 1 deployment, 0 answers");
created(
  await new StatementsApi(configuration).publishStatementRaw({
    origin: OPERATOR,
    key: INCIDENT,
    statementDraft: {
      content: {
        incident: `${OPERATOR}/${INCIDENT}`,
        status: "known_affected",
        deployments: [`${OPERATOR}/${DEPLOYMENT}`],
        plannedAt: new Date("2026-03-02T23:30:00+02:00"),
      },
    },
  }),
);
expect((await exposure(configuration)).answered === 1, "the answer is not counted");
console.log("statement: answered");
