package livemigrationtest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// startMigration stands for the code under test: it validates a request and starts the migration.
func startMigration(
	ctx context.Context, client *livemigration.Client, project livemigration.ProjectID, req livemigration.MigrationRequest,
) (livemigration.MigrationID, error) {
	if _, err := client.Validations.Create(ctx, project, req); err != nil {
		return "", err
	}
	migration, err := client.Migrations.Create(ctx, project, req)
	if err != nil {
		return "", err
	}
	return migration.ID, nil
}

// A whole migration. The test moves the clock, and the jobs with it.
func Example() {
	srv := livemigrationtest.NewServer()
	defer srv.Close()
	client, err := srv.NewClient()
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	id, err := startMigration(ctx, client, srv.ProjectID(), srv.SampleRequest())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("started:", srv.Migrations()[0].Status)

	srv.Advance(srv.Timings().Scheduling + srv.Timings().InitialSync)
	migration, err := client.Migrations.Get(ctx, srv.ProjectID(), id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("synced:", migration.Status, "ready for cutover:", migration.ReadyForCutover)

	if err := client.Migrations.Cutover(ctx, srv.ProjectID(), id); err != nil {
		log.Fatal(err)
	}
	srv.Advance(srv.Timings().Finishing)
	fmt.Println("cut over:", srv.Migrations()[0].Status)

	// Output:
	// started: NEW
	// synced: WORKING ready for cutover: true
	// cut over: COMPLETE
}

// A gateway that times out after Atlas has started the migration: the client cannot know, and must not try again.
func ExampleClusterScript_Inject() {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	defer srv.Close()
	client, err := srv.NewClient()
	if err != nil {
		log.Fatal(err)
	}

	gateway := livemigrationtest.RawStatus(http.StatusGatewayTimeout, "text/html", "<h1>504 Gateway Time-out</h1>")
	srv.Inject(livemigrationtest.CreateMigration, gateway.Processed(), 1)

	_, err = client.Migrations.Create(context.Background(), srv.ProjectID(), srv.SampleRequest())
	fmt.Println("outcome unknown:", errors.Is(err, livemigration.ErrOutcomeUnknown))
	fmt.Println("migrations that run:", len(srv.Migrations()))

	// Output:
	// outcome unknown: true
	// migrations that run: 1
}

// The records tell what the program has sent. The first request is the one that gets the challenge.
func ExampleServer_Recorded() {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	defer srv.Close()
	client, err := srv.NewClient()
	if err != nil {
		log.Fatal(err)
	}

	if _, err := client.AvailableProjects.List(context.Background(), srv.OrgID()); err != nil {
		log.Fatal(err)
	}
	for _, request := range srv.Recorded() {
		fmt.Println(request.Operation, request.StatusCode)
	}
	fmt.Println("lists:", srv.RequestCount(livemigrationtest.ListAvailableProjects))

	// Output:
	// handshake 401
	// AvailableProjects.List 200
	// lists: 1
}

// Both sides of a migration: the source organization is connected with a link-token of Atlas.
func ExampleServer_NewSourceClient() {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithAutoConnect(false))
	defer srv.Close()
	client, err := srv.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	source, err := srv.NewSourceClient()
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	link, err := client.LinkTokens.Create(ctx, srv.OrgID(), livemigration.LinkTokenRequest{})
	if err != nil {
		log.Fatal(err)
	}
	connected, err := source.MigrationLink.Create(ctx, srv.SourceOrgID(), link.Token)
	if err != nil {
		log.Fatal(err)
	}
	projects, err := client.AvailableProjects.List(ctx, srv.OrgID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(connected.Status, projects[0].Name)

	// Output:
	// SYNCED Production
}

// Of many clusters one cannot be migrated.
func ExampleServer_ForCluster() {
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	defer srv.Close()
	client, err := srv.NewClient()
	if err != nil {
		log.Fatal(err)
	}

	srv.ForCluster("Sales").FailNextMigration()
	for _, cluster := range []string{"Billing", "Sales", "Stock"} {
		request := srv.SampleRequest()
		request.Destination.ClusterName = cluster
		if _, err := startMigration(context.Background(), client, srv.ProjectID(), request); err != nil {
			log.Fatal(err)
		}
	}
	srv.Advance(srv.Timings().Scheduling + srv.Timings().InitialSync)
	for _, migration := range srv.Migrations() {
		fmt.Println(migration.Destination.ClusterName, migration.Status)
	}

	// Output:
	// Billing WORKING
	// Sales FAILED
	// Stock WORKING
}
