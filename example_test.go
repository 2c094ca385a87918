package livemigration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// inMemory is an Atlas for the examples, in which an hour passes in less than a second.
func inMemory() (*livemigrationtest.Server, *livemigration.Client) {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(10_000))
	client, err := srv.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	return srv, client
}

// started is inMemory with a migration in progress.
func started() (*livemigrationtest.Server, *livemigration.Client, livemigration.MigrationID) {
	srv, client := inMemory()
	migration, err := client.Migrations.Create(context.Background(), srv.ProjectID(), srv.SampleRequest())
	if err != nil {
		log.Fatal(err)
	}
	return srv, client, migration.ID
}

// often keeps the examples quick. The defaults suit Atlas.
var often = livemigration.WithPollInterval(time.Millisecond, 5*time.Millisecond)

// A whole migration, from the validation to the end.
func Example() {
	srv, client := inMemory()
	defer srv.Close()
	ctx, projectID, request := context.Background(), srv.ProjectID(), srv.SampleRequest()

	if _, err := client.Validations.Run(ctx, projectID, request, often); err != nil {
		log.Fatal(err)
	}
	migration, err := client.Migrations.Create(ctx, projectID, request)
	if err != nil {
		log.Fatal(err) // see the example of MigrationsService.Create
	}
	// Keep migration.ID: Atlas lists no migrations.
	if _, err := client.Migrations.WaitReadyForCutover(ctx, projectID, migration.ID, often); err != nil {
		log.Fatal(err)
	}
	// Stop all writes to the source here.
	if err := client.Migrations.Cutover(ctx, projectID, migration.ID); err != nil {
		log.Fatal(err)
	}
	migration, err = client.Migrations.WaitComplete(ctx, projectID, migration.ID, often)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(migration.Status)
	// Output: COMPLETE
}

func ExampleNewClient() {
	client, err := livemigration.NewClient(livemigration.APIKey("public", "private"),
		livemigration.WithUserAgent("my-tool/1.2"),
		livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxAttempts: 8}))
	fmt.Println(client, err)

	// What can never work is rejected before anything is sent.
	_, err = livemigration.NewClient(livemigration.APIKey("public", "private"), livemigration.WithBaseURL("http://atlas.example.com"))
	fmt.Println(err)
	// Output:
	// livemigration.Client(https://cloud.mongodb.com/api/atlas/v2) <nil>
	// livemigration: NewClient: WithBaseURL: the base URL must begin with https://: plain http is for loopback addresses only
}

func ExampleNewClientFromEnv() {
	for name, value := range map[string]string{ // usually set by your shell
		"MONGODB_ATLAS_CLIENT_ID":     "mdb_sa_id_example",
		"MONGODB_ATLAS_CLIENT_SECRET": "mdb_sa_sk_example",
		"MONGODB_ATLAS_BASE_URL":      "https://cloud.mongodbgov.com",
	} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
		defer os.Unsetenv(name) //nolint:errcheck // it fails for malformed names only
	}
	client, err := livemigration.NewClientFromEnv()
	fmt.Println(client, err)
	// Output: livemigration.Client(https://cloud.mongodbgov.com/api/atlas/v2) <nil>
}

func ExampleLinkTokensService_Create() {
	srv, client := inMemory()
	defer srv.Close()

	token, err := client.LinkTokens.Create(context.Background(), srv.OrgID(), livemigration.LinkTokenRequest{
		AccessListIPs: []string{"192.0.2.10", "198.51.100.0/24"},
	})
	if err != nil {
		log.Fatal(err)
	}
	// A secret shows only where you call Reveal.
	fmt.Println(token.Token, len(token.Token.Reveal()) > 0)
	// Output: [REDACTED] true
}

func ExampleLinkTokensService_Delete() {
	srv, client := inMemory()
	defer srv.Close()
	err := client.LinkTokens.Delete(context.Background(), srv.OrgID())
	fmt.Println("no link:", errors.Is(err, livemigration.ErrNotFound))
	// Output: no link: true
}

func ExampleMigrationLinkService_Create() {
	srv, client := inMemory()
	defer srv.Close()
	ctx := context.Background()
	source, err := srv.NewSourceClient() // yours: NewSourceClient with an API key of the source organization
	if err != nil {
		log.Fatal(err)
	}
	token, err := client.LinkTokens.Create(ctx, srv.OrgID(), livemigration.LinkTokenRequest{})
	if err != nil {
		log.Fatal(err)
	}

	link, err := source.MigrationLink.Create(ctx, srv.SourceOrgID(), token.Token)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(link.Status)
	// Output: SYNCED
}

func ExampleAvailableProjectsService_List() {
	srv, client := inMemory()
	defer srv.Close()
	ctx := context.Background()
	if _, err := client.LinkTokens.Create(ctx, srv.OrgID(), livemigration.LinkTokenRequest{}); err != nil {
		log.Fatal(err)
	}

	projects, err := client.AvailableProjects.List(ctx, srv.OrgID())
	if err != nil {
		log.Fatal(err)
	}
	for _, project := range projects[:1] {
		fmt.Println(project.Name, project.MigrationHosts)
		for _, deployment := range project.Deployments {
			fmt.Println("-", deployment.Name, "sharded:", deployment.Sharded)
		}
	}
	// Output:
	// Production [migration-host-1.prod.example.com]
	// - orders sharded: false
	// - events sharded: true
}

func ExampleValidationsService_Run() {
	srv, client := inMemory()
	defer srv.Close()
	srv.FailNextValidation("the migration host cannot reach the source cluster")

	_, err := client.Validations.Run(context.Background(), srv.ProjectID(), srv.SampleRequest(), often)
	var failed *livemigration.ValidationFailedError
	if errors.As(err, &failed) {
		fmt.Println(failed.Validation.Status, "-", failed.Validation.ErrorMessage)
	}
	// Output: FAILED - the migration host cannot reach the source cluster
}

// The response to a create request is lost, so the migration may exist.
func ExampleMigrationsService_Create() {
	srv, client := inMemory()
	defer srv.Close()
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)

	migration, err := client.Migrations.Create(context.Background(), srv.ProjectID(), srv.SampleRequest())
	switch {
	case livemigration.MayHaveCreated(err):
		fmt.Println("check the Atlas UI; migrations created:", len(srv.Migrations()))
	case livemigration.Retryable(err):
		fmt.Println("nothing was created; try again later:", err)
	case err != nil:
		fmt.Println("nothing was created; correct the request, the credentials or the configuration:", err)
	default:
		fmt.Println("keep this ID:", migration.ID)
	}
	// Output: check the Atlas UI; migrations created: 1
}

// Watch is for programs that show progress.
func ExampleMigrationsService_Watch() {
	srv, client, id := started()
	defer srv.Close()

	for state, err := range client.Migrations.Watch(context.Background(), srv.ProjectID(), id, often) {
		if err != nil {
			log.Fatal(err)
		}
		if lag, ok := state.Lag(); ok && state.ReadyForCutover {
			fmt.Println("ready, at most a minute behind:", lag <= time.Minute)
			break
		}
	}
	// Output: ready, at most a minute behind: true
}

func ExampleMigrationsService_WaitReadyForCutover() {
	srv, client, id := started()
	defer srv.Close()

	migration, err := client.Migrations.WaitReadyForCutover(context.Background(), srv.ProjectID(), id, often,
		livemigration.WithMaxLag(time.Minute), livemigration.WithMaxOutage(2*time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(migration.ReadyForCutover)
	// Output: true
}

func ExampleMigrationsService_Cutover() {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	defer srv.Close()
	client, err := srv.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	migration, err := client.Migrations.Create(ctx, srv.ProjectID(), srv.SampleRequest())
	if err != nil {
		log.Fatal(err)
	}
	err = client.Migrations.Cutover(ctx, srv.ProjectID(), migration.ID)
	fmt.Println("too early:", errors.Is(err, livemigration.ErrConflict))

	srv.Advance(srv.Timings().Scheduling + srv.Timings().InitialSync)
	fmt.Println("ready:", client.Migrations.Cutover(ctx, srv.ProjectID(), migration.ID))
	// Output:
	// too early: true
	// ready: <nil>
}

func ExampleCaptureResponse() {
	srv, client, id := started()
	defer srv.Close()

	var response livemigration.Response
	_, err := client.Migrations.Get(context.Background(), srv.ProjectID(), id, livemigration.CaptureResponse(&response))
	fmt.Println(err, response.StatusCode, response.Attempts, response.RateLimit.Remaining < response.RateLimit.Limit)
	// Output: <nil> 200 1 true
}

func ExampleErrorJSON() {
	err := livemigration.OrgID("5f2a").Validate()
	fmt.Printf("%s\n", livemigration.ErrorJSON(fmt.Errorf("read flags: %w", err)))
	// Output: {"fields":[{"field":"organization ID","description":"has 4 characters; must be 24 lowercase hexadecimal digits"}],"kind":"invalid_request","message":"read flags: livemigration: invalid request: organization ID has 4 characters; must be 24 lowercase hexadecimal digits"}
}

func ExampleInvalidRequestError() {
	request := livemigration.MigrationRequest{MigrationHosts: []string{"vm001.example.com"}}
	var invalid *livemigration.InvalidRequestError
	if errors.As(request.Validate(livemigration.APIv2), &invalid) {
		for _, violation := range invalid.Violations {
			fmt.Println(violation.Field, "-", violation.Description)
		}
	}
	// Output:
	// source.groupId - is empty; must be 24 lowercase hexadecimal digits
	// source.clusterName - is required
	// destination.clusterName - is required
}

// A request may be kept in a file, in the form of the API's body.
func ExampleMigrationRequest() {
	var request livemigration.MigrationRequest
	err := json.Unmarshal([]byte(`{
		"source": {"groupId": "9b43a5b329223c3a1591a678", "clusterName": "exampleClusterA",
			"username": "example", "password": "string", "ssl": true, "managedAuthentication": false},
		"destination": {"clusterName": "exampleClusterB"},
		"migrationHosts": ["vm001.example.com"],
		"dropDestinationData": false
	}`), &request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(request.Validate(livemigration.APIv2), request.Source.ClusterName, request.Source.Password)
	// Output: <nil> exampleClusterA [REDACTED]
}

// The first call fetches the token of a service account, and RevokeToken revokes it.
func ExampleServiceAccount() {
	srv := livemigrationtest.NewServer()
	defer srv.Close()
	id, secret := srv.ServiceAccount() // yours: the ones that Atlas has shown
	client, err := livemigration.NewClient(livemigration.ServiceAccount(id, secret),
		livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(srv.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	_, err = client.AvailableProjects.List(ctx, srv.OrgID())
	fmt.Println(err, srv.LiveTokenCount())
	fmt.Println(client.RevokeToken(ctx), srv.LiveTokenCount())
	// Output:
	// <nil> 1
	// <nil> 0
}

// countingTransport counts the attempts of each operation.
type countingTransport struct {
	base   http.RoundTripper
	counts map[string]int
}

func (t *countingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if attempt, ok := livemigration.AttemptFromContext(req.Context()); ok {
		t.counts[attempt.Operation]++
	}
	return t.base.RoundTrip(req)
}

// A wrapper sees each attempt, but no credentials and no requests that only obtain some.
func ExampleWithTransportWrapper() {
	counts := make(map[string]int)
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	defer srv.Close()
	client, err := srv.NewClient(livemigration.WithTransportWrapper(func(base http.RoundTripper) http.RoundTripper {
		return &countingTransport{base, counts}
	}))
	if err != nil {
		log.Fatal(err)
	}
	srv.Inject(livemigrationtest.ListAvailableProjects, livemigrationtest.Status(503).WithRetryAfter(0), 1)
	_, err = client.AvailableProjects.List(context.Background(), srv.OrgID())
	fmt.Println(err, counts)
	// Output: <nil> map[AvailableProjects.List:2]
}
