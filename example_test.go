package livemigration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// inMemory is an Atlas for the examples, in which a minute passes in a moment.
func inMemory() (*livemigrationtest.Server, *livemigration.Client) {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(10_000))
	client, err := srv.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	return srv, client
}

// often keeps the examples quick. The defaults suit Atlas.
var often = livemigration.WithPollInterval(time.Millisecond, 5*time.Millisecond)

// A whole migration, from the validation to the end.
func Example() {
	srv, client := inMemory()
	defer srv.Close()
	ctx, projectID, request := context.Background(), srv.ProjectID(), srv.SampleRequest()

	validation, err := client.Validations.Create(ctx, projectID, request)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Validations.Wait(ctx, projectID, validation.ID, often); err != nil {
		log.Fatal(err)
	}
	migration, err := client.Migrations.Create(ctx, projectID, request)
	if err != nil {
		log.Fatal(err) // see OutcomeUnknownError
	}
	// Keep migration.ID: nothing else finds the job again.
	if _, err := client.Migrations.WaitReadyForCutover(ctx, projectID, migration.ID, often); err != nil {
		log.Fatal(err)
	}
	// Stop writing to the source here.
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
	fmt.Println(client != nil, err)

	// What can never work is rejected before anything is sent.
	_, err = livemigration.NewClient(livemigration.APIKey("public", "private"), livemigration.WithBaseURL("http://atlas.example.com"))
	fmt.Println(err)
	// Output:
	// true <nil>
	// livemigration: NewClient: WithBaseURL: the base URL must begin with https://: plain http is for loopback addresses only
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
	// A secret shows only when it is asked to.
	fmt.Println(token.Token, len(token.Token.Reveal()) > 0)
	// Output: [REDACTED] true
}

func ExampleLinkTokensService_Delete() {
	srv, client := inMemory()
	defer srv.Close()

	err := client.LinkTokens.Delete(context.Background(), srv.OrgID())
	fmt.Println(errors.Is(err, livemigration.ErrNotFound))
	// Output: true
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

func ExampleValidationsService_Wait() {
	srv, client := inMemory()
	defer srv.Close()
	ctx := context.Background()
	srv.FailNextValidation("the migration host cannot reach the source cluster")

	validation, err := client.Validations.Create(ctx, srv.ProjectID(), srv.SampleRequest())
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Validations.Wait(ctx, srv.ProjectID(), validation.ID, often)
	var failed *livemigration.ValidationFailedError
	if errors.As(err, &failed) {
		fmt.Println(failed.Validation.Status, "-", failed.Validation.ErrorMessage)
	}
	// Output: FAILED - the migration host cannot reach the source cluster
}

// Watch is for programs that show progress.
func ExampleMigrationsService_Watch() {
	srv, client := inMemory()
	defer srv.Close()
	ctx := context.Background()
	migration, err := client.Migrations.Create(ctx, srv.ProjectID(), srv.SampleRequest())
	if err != nil {
		log.Fatal(err)
	}

	for state, err := range client.Migrations.Watch(ctx, srv.ProjectID(), migration.ID, often) {
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

func ExampleMigrationsService_Get() {
	srv, client := inMemory()
	defer srv.Close()
	ctx := context.Background()
	migration, err := client.Migrations.Create(ctx, srv.ProjectID(), srv.SampleRequest())
	if err != nil {
		log.Fatal(err)
	}

	var response livemigration.Response
	migration, err = client.Migrations.Get(ctx, srv.ProjectID(), migration.ID, livemigration.CaptureResponse(&response))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(migration.Status.Final(), response.StatusCode, response.Attempts)
	// Output: false 200 1
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
	// Output: too early: true
}

// An error leaves three things to do: ask for other keys, correct the request, or look by hand.
func ExampleAPIError() {
	srv, client := inMemory()
	defer srv.Close()
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(403).WithCode("IP_ADDRESS_NOT_ON_ACCESS_LIST"), 1)

	_, err := client.Migrations.Create(context.Background(), srv.ProjectID(), srv.SampleRequest())
	var api *livemigration.APIError
	switch {
	case errors.Is(err, livemigration.ErrUnauthorized), errors.Is(err, livemigration.ErrForbidden):
		errors.As(err, &api)
		fmt.Println("check the keys, their role and their access list:", api.Code)
	case errors.Is(err, livemigration.ErrOutcomeUnknown):
		fmt.Println("look in Atlas before calling again:", err)
	case err != nil:
		fmt.Println(err)
	}
	// Output: check the keys, their role and their access list: IP_ADDRESS_NOT_ON_ACCESS_LIST
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

// The response to a creation got lost: the migration may run.
func ExampleOutcomeUnknownError() {
	srv, client := inMemory()
	defer srv.Close()
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)

	_, err := client.Migrations.Create(context.Background(), srv.ProjectID(), srv.SampleRequest())
	fmt.Println(errors.Is(err, livemigration.ErrOutcomeUnknown), len(srv.Migrations()))
	// Output: true 1
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

// Tests of your own program need no Atlas: the in-memory one moves when the test says so.
func ExampleClient_testing() {
	srv := livemigrationtest.NewServer()
	defer srv.Close()
	client, err := srv.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	ctx := context.Background()
	migration, err := client.Migrations.Create(ctx, srv.ProjectID(), srv.SampleRequest())
	if err != nil {
		log.Fatal(err)
	}
	timings := srv.Timings()
	srv.Advance(timings.Scheduling + timings.InitialSync)

	migration, err = client.Migrations.WaitReadyForCutover(ctx, srv.ProjectID(), migration.ID)
	fmt.Println(migration.ReadyForCutover, err)
	// Output: true <nil>
}

// A service account's token is fetched by the first call, and revoked by Close.
func ExampleServiceAccount() {
	srv := livemigrationtest.NewServer()
	defer srv.Close()
	id, secret := srv.ServiceAccount() // of your own: those that Atlas has shown
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
	srv := livemigrationtest.NewServer()
	defer srv.Close()
	counts := make(map[string]int)
	client, err := srv.NewClient(livemigration.WithTransportWrapper(func(base http.RoundTripper) http.RoundTripper {
		return &countingTransport{base, counts}
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseIdleConnections()
	srv.Inject(livemigrationtest.ListAvailableProjects, livemigrationtest.Status(503).WithRetryAfter(0), 1)
	_, err = client.AvailableProjects.List(context.Background(), srv.OrgID())
	fmt.Println(err, counts)
	// Output: <nil> map[AvailableProjects.List:2]
}
