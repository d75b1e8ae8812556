// The story with openapi-fetch; its steps are those of tests/clients/__init__.py.
import process from "node:process";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./client.js";

type Schemas = components["schemas"];
/** Answers in JSON: some operations offer streams as well. */
type Json = "application/json" | "application/problem+json";
type Node = Client<paths, Json>;

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

/** The value of an answer, or the problem that came in its place. */
function value<T>(answer: { data?: T; error?: unknown }): T {
  return answer.data ?? fail(JSON.stringify(answer.error));
}

/** The ETag of a record that was created. */
function created(answer: { response: Response; error?: unknown }): string {
  expect(answer.response.status === 201, JSON.stringify(answer.error));
  return answer.response.headers.get("etag") ?? fail("no ETag");
}

// docs: begin
/** A client with an access token, which is good for five minutes. */
async function connect(): Promise<Node> {
  const client = createClient<paths, Json>({ baseUrl: NODE });
  const credentials = btoa(`${env("CLIENT_ID")}:${env("CLIENT_SECRET")}`);
  const token = await client.POST("/oauth2/token", {
    body: { grant_type: "client_credentials" },
    headers: {
      Authorization: `Basic ${credentials}`,
      "Content-Type": "application/x-www-form-urlencoded",
    },
  });
  return createClient<paths, Json>({
    baseUrl: NODE,
    headers: { Authorization: `Bearer ${value(token).access_token}` },
  });
}

/** The keys of all solutions, page by page, in an order in which a revision loses nothing. */
async function allSolutions(client: Node): Promise<string[]> {
  const keys: string[] = [];
  for (let after: string | undefined; ; ) {
    const query = { sort: "id" as const, limit: 3, ...(after && { after }) };
    const page = value(await client.GET("/v1/solutions", { params: { query } }));
    keys.push(...page.items.map((document) => document.key));
    if (!page.next) return keys;
    after = new URL(page.next).searchParams.get("after") ?? fail(page.next);
  }
}
// docs: end

const aSolution = (name: string): Schemas["SolutionInput"] => ({
  name,
  summary: { fr: "Gestion de parc", en: "Asset management" },
  kind: "software",
  status: "stable",
  licence: "GPL-3.0-or-later",
  themes: ["it-asset-management"],
  version_scheme: "generic",
});

const record = (key: string) => ({ path: { origin: OPERATOR, key } });

/** Publish one record of each type but the statement; the ETag of the incident. */
async function publish(client: Node): Promise<string> {
  created(
    await client.PUT("/v1/solutions/{origin}/{key}", {
      params: record(SOLUTION),
      body: { content: aSolution("GLPI"), tlp: "CLEAR" },
    }),
  );
  const chalon = { identifiers: [{ scheme: "0002", value: "217100767" }], name: "Chalon-sur-Saône" };
  created(
    await client.PUT("/v1/deployments/{origin}/{key}", {
      params: record(DEPLOYMENT),
      body: {
        content: {
          solution: `${OPERATOR}/${SOLUTION}`,
          status: "production",
          tenancy: "shared",
          hosting: { model: "operator", country: "FR" },
          coverage: { kind: "list", beneficiaries: [chalon] },
          version: "10.0.17",
          version_state: "exact",
          version_as_of: "2026-02-01T10:00:00+02:00",
          since: "2024-09-01",
        },
      },
    }),
  );
  created(
    await client.PUT("/v1/operators/{origin}/{key}", {
      params: record(`${PREFIX}-operator`),
      body: {
        content: {
          name: "L'ARNia",
          country: "FR",
          territory: ["FR-BFC"],
          contact: "contact@arnia.example.org",
          security_contact: "security@arnia.example.org",
        },
      },
    }),
  );
  created(
    await client.PUT("/v1/groups/{origin}/{key}", {
      params: record(`${PREFIX}-security`),
      body: { content: { name: "Cellule sécurité", members: ["megalis", "recia"] } },
    }),
  );
  created(
    await client.PUT("/v1/memberships/{origin}/{key}", {
      params: record(`${PREFIX}-megalis`),
      body: {
        content: {
          operator: "megalis",
          name: "Mégalis Bretagne",
          node: "https://megalis.example.org",
          thumbprint: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
          admitted_at: "2026-02-01T10:00:00+02:00",
        },
      },
    }),
  );
  return created(
    await client.PUT("/v1/incidents/{origin}/{key}", {
      params: record(INCIDENT),
      body: {
        content: {
          title: { fr: "GLPI : injection SQL", en: "GLPI: SQL injection" },
          summary: { fr: "Corrigé en 10.0.18.", en: "Fixed in 10.0.18." },
          kind: "vulnerability",
          status: "open",
          severity: "high",
          detected_at: "2026-03-01T10:00:00+02:00",
          affects: [
            {
              solution: `${OPERATOR}/${SOLUTION}`,
              range: "vers:generic/>=10.0.0|<10.0.18",
              fixed_in: ["10.0.18"],
            },
          ],
        },
      },
    }),
  );
}

async function bulk(client: Node): Promise<number> {
  const drafts = [1, 2, 3, 4, 5].map((number) => ({
    key: `${PREFIX}-bulk-${number}`,
    content: aSolution(`Solution ${number}`),
  }));
  const report = value(await client.POST("/v1/solutions/bulk", { body: drafts }));
  return report.summary?.created ?? fail(JSON.stringify(report.refused));
}

async function changedKeys(client: Node): Promise<Set<string>> {
  const keys = new Set<string>();
  for (let after: string | undefined; ; ) {
    const query = { limit: 10, ...(after && { after }) };
    const page = value(await client.GET("/v1/changes", { params: { query } }));
    for (const entry of page.entries) keys.add(entry.key);
    if (!page.more) return keys;
    after = page.cursor;
  }
}

async function exposure(client: Node): Promise<Schemas["Total"]> {
  const answer = await client.GET("/v1/incidents/{origin}/{key}/exposure", { params: record(INCIDENT) });
  return value(answer).total;
}

const client = await connect();
console.log("token: got");
const etag = await publish(client);
console.log("publish: 6 records");
expect((await bulk(client)) === 5, "bulk");
console.log("bulk: 5 created");
const mine = (await allSolutions(client)).filter((key) => key.startsWith(`${PREFIX}-`));
expect(new Set(mine).size === 6, `list: ${mine}`);
console.log("list: 6 of mine");

const severity = () =>
  client.PATCH("/v1/incidents/{origin}/{key}", {
    params: { ...record(INCIDENT), header: { "If-Match": etag } },
    body: { content: { severity: "critical" } },
    headers: { "Content-Type": "application/merge-patch+json" },
  });
const revised = value(await severity());
expect("revision" in revised && revised.revision === 2, JSON.stringify(revised));
console.log("patch: revision 2");
const refused = await severity();
expect(refused.response.status === 412 && refused.error !== undefined, JSON.stringify(refused.data));
console.log(`412: ${refused.error.title}`);

const appended = value(
  await client.POST("/v1/incidents/{origin}/{key}/updates", {
    params: record(INCIDENT),
    body: { text: { fr: "Accès coupé.", en: "Access was cut." }, at: "2026-03-01T12:15:00+02:00" },
  }),
);
expect("revision" in appended && appended.revision === 3, JSON.stringify(appended));
console.log("update: revision 3");

const changed = await changedKeys(client);
expect([...mine, DEPLOYMENT, INCIDENT].every((key) => changed.has(key)), "changes");
console.log("changes: all of mine");
const before = await exposure(client);
expect(before.affected.deployments === 1 && before.answered === 0, JSON.stringify(before));
console.log("exposure: 1 deployment, 0 answers");
created(
  await client.PUT("/v1/statements/{origin}/{key}", {
    params: record(INCIDENT),
    body: {
      content: {
        incident: `${OPERATOR}/${INCIDENT}`,
        status: "known_affected",
        deployments: [`${OPERATOR}/${DEPLOYMENT}`],
        planned_at: "2026-03-02T23:30:00+02:00",
      },
    },
  }),
);
expect((await exposure(client)).answered === 1, "the answer is not counted");
console.log("statement: answered");
