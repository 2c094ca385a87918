// Command worker runs migrations that the command starter has started. Run as many as you like, on as many machines.
//
//	TEMPORAL_ADDRESS=localhost:7233 MONGODB_ATLAS_PUBLIC_API_KEY=… MONGODB_ATLAS_PRIVATE_API_KEY=… SOURCE_PASSWORD=… worker
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
)

func main() {
	perMinute := flag.Int("per-minute", 80, "requests a minute of this worker: the limit of Atlas divided by the number of workers")
	flag.Parse()
	if err := run(*perMinute); err != nil {
		log.Fatal("worker: ", err)
	}
}

func run(perMinute int) error {
	atlas, err := livemigration.NewClientFromEnv(livemigration.WithRateLimit(perMinute, perMinute))
	if err != nil {
		return err
	}
	temporal, err := client.Dial(client.Options{
		HostPort:  cmp.Or(os.Getenv("TEMPORAL_ADDRESS"), client.DefaultHostPort),
		Namespace: cmp.Or(os.Getenv("TEMPORAL_NAMESPACE"), client.DefaultNamespace),
	})
	if err != nil {
		return err
	}
	defer temporal.Close()
	w := worker.New(temporal, livemigrationtemporal.TaskQueue, worker.Options{
		WorkerStopTimeout: time.Minute, // a create request in flight takes up to 30 seconds more
	})
	driver, err := durable.NewDriver(atlas, durable.WithPassword(readPassword))
	if err != nil {
		return err
	}
	livemigrationtemporal.Register(w, driver)
	return w.Run(worker.InterruptCh())
}

// readPassword stands for your secret store. It is asked each time that a request needs the password.
func readPassword(context.Context, durable.Plan) (livemigration.Secret, error) {
	password := os.Getenv("SOURCE_PASSWORD")
	if password == "" {
		return "", errors.New("SOURCE_PASSWORD is not set")
	}
	return livemigration.Secret(password), nil
}
