// Command official reads one migration with the official client of the legacy API.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/mongodb-forks/digest"
	"go.mongodb.org/atlas/mongodbatlas"
)

func main() {
	authenticated, err := digest.NewTransport(os.Getenv("MONGODB_ATLAS_PUBLIC_KEY"), os.Getenv("MONGODB_ATLAS_PRIVATE_KEY")).Client()
	if err != nil {
		log.Fatal(err)
	}
	migration, _, err := mongodbatlas.NewClient(authenticated).LiveMigration.Get(context.Background(), os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(migration.Status)
}
