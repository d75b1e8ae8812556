// The story with OpenAPI Generator's go; its steps are those of tests/clients/__init__.py.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	node "nodeclient"
)

var (
	operator   = env("OPERATOR")
	prefix     = env("PREFIX")
	solution   = prefix + "-glpi"
	deployment = prefix + "-glpi-shared"
	incident   = prefix + "-2026-0042"
	paris      = time.FixedZone("", 2*60*60)
)

func env(name string) string {
	value, found := os.LookupEnv(name)
	expect(found, name+" is not set")
	return value
}

func expect(holds bool, text ...any) {
	if !holds {
		log.Fatal(text...)
	}
}

// must stops the program with the problem that came in place of an answer.
func must[T any](value T, answer *http.Response, err error) T {
	if err != nil {
		body := ""
		if problem, ok := err.(*node.GenericOpenAPIError); ok {
			body = string(problem.Body())
		}
		log.Fatal(err, " ", body)
	}
	return value
}

// created is the ETag of a record that was created.
func created[T any](value T, answer *http.Response, err error) string {
	must(value, answer, err)
	expect(answer.StatusCode == http.StatusCreated, answer.Status)
	return answer.Header.Get("ETag")
}

// docs: begin

// connect returns a client, and a context with an access token, which is good for five minutes.
func connect() (*node.APIClient, context.Context) {
	configuration := node.NewConfiguration()
	configuration.Servers = node.ServerConfigurations{{URL: env("NODE_URL")}}
	client := node.NewAPIClient(configuration)
	credentials := node.BasicAuth{UserName: env("CLIENT_ID"), Password: env("CLIENT_SECRET")}
	basic := context.WithValue(context.Background(), node.ContextBasicAuth, credentials)
	token := must(client.NodeAPI.GetToken(basic).GrantType("client_credentials").Execute())
	return client, context.WithValue(context.Background(), node.ContextAccessToken, token.AccessToken)
}

// allSolutions returns the keys of all solutions, page by page, in an order in which a revision loses nothing.
func allSolutions(client *node.APIClient, ctx context.Context) []string {
	keys, request := []string{}, client.SolutionsAPI.ListSolutions(ctx).Sort("id").Limit(3)
	for {
		page := must(request.Execute())
		for _, document := range page.Items {
			keys = append(keys, document.Key)
		}
		if !page.HasNext() {
			return keys
		}
		next, err := url.Parse(page.GetNext())
		expect(err == nil, err)
		request = request.After(next.Query().Get("after"))
	}
}

// docs: end

func aSolution(name string) node.SolutionInput {
	texts := map[string]string{"fr": "Gestion de parc", "en": "Asset management"}
	made := node.NewSolutionInput(name, texts, "software", "stable", "GPL-3.0-or-later", []node.ThemeInput{"it-asset-management"})
	made.SetVersionScheme("generic")
	return *made
}

// publish makes one record of each type but the statement, and returns the ETag of the incident.
func publish(client *node.APIClient, ctx context.Context) string {
	draft := node.NewSolutionDraft(aSolution("GLPI"))
	draft.SetTlp(node.TLP_CLEAR)
	created(client.SolutionsAPI.PublishSolution(ctx, operator, solution).SolutionDraft(*draft).Execute())

	chalon := node.NewOrganisationInput([]node.IdentifierInput{*node.NewIdentifierInput("0002", "217100767")})
	chalon.SetName("Chalon-sur-Saône")
	hosting := node.NewHostingInput("operator")
	hosting.SetCountry("FR")
	bodies := node.NewListedBodiesInput("list", []node.OrganisationInput{*chalon})
	runs := node.NewDeploymentInput(operator+"/"+solution, "production", "shared", *hosting, node.ListedBodiesInputAsCoverageInput(bodies))
	runs.SetVersion("10.0.17")
	runs.SetVersionState("exact")
	runs.SetVersionAsOf(time.Date(2026, 2, 1, 10, 0, 0, 0, paris))
	runs.SetSince("2024-09-01")
	created(client.DeploymentsAPI.PublishDeployment(ctx, operator, deployment).
		DeploymentDraft(*node.NewDeploymentDraft(*runs)).Execute())

	arnia := node.NewOperatorInput("L'ARNia", "FR", []string{"FR-BFC"}, "contact@arnia.example.org", "security@arnia.example.org")
	created(client.OperatorsAPI.PublishOperator(ctx, operator, prefix+"-operator").
		OperatorDraft(*node.NewOperatorDraft(*arnia)).Execute())

	group := node.NewGroupInput("Cellule sécurité", []string{"megalis", "recia"})
	created(client.GroupsAPI.PublishGroup(ctx, operator, prefix+"-security").
		GroupDraft(*node.NewGroupDraft(*group)).Execute())

	membership := node.NewMembershipInput("megalis", "Mégalis Bretagne", "https://megalis.example.org",
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", time.Date(2026, 2, 1, 10, 0, 0, 0, paris))
	created(client.MembershipsAPI.PublishMembership(ctx, operator, prefix+"-megalis").
		MembershipDraft(*node.NewMembershipDraft(*membership)).Execute())

	affected := node.NewAffectedInput()
	affected.SetSolution(operator + "/" + solution)
	affected.SetRange("vers:generic/>=10.0.0|<10.0.18")
	affected.SetFixedIn([]string{"10.0.18"})
	content := node.NewIncidentInput(
		map[string]string{"fr": "GLPI : injection SQL", "en": "GLPI: SQL injection"},
		map[string]string{"fr": "Corrigé en 10.0.18.", "en": "Fixed in 10.0.18."},
		"vulnerability", "open", "high", []node.AffectedInput{*affected})
	content.SetDetectedAt(time.Date(2026, 3, 1, 10, 0, 0, 0, paris))
	return created(client.IncidentsAPI.PublishIncident(ctx, operator, incident).
		IncidentDraft(*node.NewIncidentDraft(*content)).Execute())
}

func bulk(client *node.APIClient, ctx context.Context) int32 {
	lines := []node.UploadSolutionsRequestInner{}
	for number := 1; number <= 5; number++ {
		draft := node.NewSolutionKeyedDraft(aSolution(fmt.Sprintf("Solution %d", number)), fmt.Sprintf("%s-bulk-%d", prefix, number))
		lines = append(lines, node.SolutionKeyedDraftAsUploadSolutionsRequestInner(draft))
	}
	report := must(client.SolutionsAPI.UploadSolutions(ctx).UploadSolutionsRequestInner(lines).Execute())
	expect(report.Summary != nil, report.Refused)
	return report.Summary.Created
}

func changedKeys(client *node.APIClient, ctx context.Context) map[string]bool {
	keys, request := map[string]bool{}, client.FeedsAPI.FollowChanges(ctx).Limit(10)
	for {
		page := must(request.Execute())
		for _, entry := range page.Entries {
			keys[entry.Key] = true
		}
		if !page.More {
			return keys
		}
		request = request.After(page.Cursor)
	}
}

func exposure(client *node.APIClient, ctx context.Context) node.Total {
	return must(client.ExposureAPI.GetIncidentExposure(ctx, operator, incident).Execute()).Total
}

func main() {
	client, ctx := connect()
	fmt.Println("token: got")
	etag := publish(client, ctx)
	fmt.Println("publish: 6 records")
	expect(bulk(client, ctx) == 5, "bulk")
	fmt.Println("bulk: 5 created")
	mine := map[string]bool{}
	for _, key := range allSolutions(client, ctx) {
		if strings.HasPrefix(key, prefix+"-") {
			mine[key] = true
		}
	}
	expect(len(mine) == 6, mine)
	fmt.Println("list: 6 of mine")

	content := node.NewIncidentPatch()
	content.SetSeverity("critical")
	patch := node.NewIncidentDraftPatch()
	patch.SetContent(*content)
	severity := client.IncidentsAPI.PatchIncident(ctx, operator, incident).IfMatch(etag).IncidentDraftPatch(*patch)
	revised := must(severity.Execute())
	expect(revised.IncidentDocument != nil && revised.IncidentDocument.Revision == 2, revised)
	fmt.Println("patch: revision 2")
	_, answer, err := severity.Execute()
	expect(err != nil && answer.StatusCode == http.StatusPreconditionFailed, "the second patch was not refused")
	problem, ok := err.(*node.GenericOpenAPIError).Model().(node.Problem)
	expect(ok, "no problem came")
	fmt.Println("412: " + problem.Title)

	update := node.NewUpdateDraft(map[string]string{"fr": "Accès coupé.", "en": "Access was cut."})
	update.SetAt(time.Date(2026, 3, 1, 12, 15, 0, 0, paris))
	appended := must(client.IncidentsAPI.AppendIncidentUpdate(ctx, operator, incident).UpdateDraft(*update).Execute())
	expect(appended.IncidentDocument != nil && appended.IncidentDocument.Revision == 3, appended)
	fmt.Println("update: revision 3")

	changed := changedKeys(client, ctx)
	mine[deployment], mine[incident] = true, true
	for key := range mine {
		expect(changed[key], key+" is not among the changes")
	}
	fmt.Println("changes: all of mine")
	before := exposure(client, ctx)
	expect(before.Affected.Deployments == 1 && before.Answered == 0, before)
	fmt.Println("exposure: 1 deployment, 0 answers")

	statement := node.NewStatementInput(operator+"/"+incident, "known_affected")
	statement.SetDeployments([]string{operator + "/" + deployment})
	statement.SetPlannedAt(time.Date(2026, 3, 2, 23, 30, 0, 0, paris))
	created(client.StatementsAPI.PublishStatement(ctx, operator, incident).
		StatementDraft(*node.NewStatementDraft(*statement)).Execute())
	expect(exposure(client, ctx).Answered == 1, "the answer is not counted")
	fmt.Println("statement: answered")
}
