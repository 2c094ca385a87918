// Command ours reads one migration with this library.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/livemigration/livemigration-go"
)

func main() {
	credentials, err := livemigration.CredentialsFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	client, err := livemigration.NewClient(credentials)
	if err != nil {
		log.Fatal(err)
	}
	migration, err := client.Migrations.Get(context.Background(),
		livemigration.ProjectID(os.Args[1]), livemigration.MigrationID(os.Args[2]))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(migration.Status)
}
