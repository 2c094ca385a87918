// Command firstcreate creates a migration, and writes which functions that has entered. It has to be built with -cover.
//
//	firstcreate URL key|token DIRECTORY
package main

import (
	"context"
	"log"
	"os"
	"runtime/coverage"

	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go"
)

func main() {
	credentials := livemigration.APIKey("abcdefgh", "01234567-89ab-cdef-0123-456789abcdef")
	if os.Args[2] == "token" {
		credentials = livemigration.TokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "a-token"}))
	}
	client, err := livemigration.NewClient(credentials, livemigration.WithBaseURL(os.Args[1]))
	if err != nil {
		log.Fatal(err)
	}
	request := livemigration.MigrationRequest{
		Source: livemigration.Source{
			ProjectID: "9b43a5b329223c3a1591a678", ClusterName: "orders", Username: "migration", Password: "a password",
			SSL: true, CACertificatePath: "/etc/mongodb/ca.pem",
		},
		Destination:    livemigration.Destination{ClusterName: "Cluster0"},
		MigrationHosts: []string{"vm001.example.com"},
	}
	if err := coverage.ClearCounters(); err != nil {
		log.Fatal(err)
	}
	if _, err := client.Migrations.Create(context.Background(), "5f1a2b3c4d5e6f7081920a02", request); err != nil {
		log.Fatal(err)
	}
	if err := coverage.WriteCountersDir(os.Args[3]); err != nil {
		log.Fatal(err)
	}
	if err := coverage.WriteMetaDir(os.Args[3]); err != nil {
		log.Fatal(err)
	}
}
