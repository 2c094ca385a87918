package estate

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/temporalserver"
)

// Lab is a Temporal server with an in-memory Atlas and worker processes.
type Lab struct {
	Server  *temporalserver.Server
	Client  client.Client
	Workers []*exec.Cmd
}

// NewLab starts a server and workers for an Atlas.
func NewLab(ctx context.Context, atlas *livemigrationtest.Server, workers int, poll time.Duration) (*Lab, error) {
	const namespace = "lab"
	server, err := temporalserver.Start(temporalserver.Options{Namespaces: []string{namespace}})
	if err != nil {
		return nil, err
	}
	lab := &Lab{Server: server}
	if lab.Client, err = server.Dial(ctx, client.Options{Namespace: namespace, Logger: Silence{}}); err != nil {
		return nil, errors.Join(err, lab.Close())
	}
	for range workers {
		worker, err := StartWorker(WorkerOptions{Address: server.Address(), Namespace: namespace, Atlas: atlas, Poll: poll})
		if err != nil {
			return nil, errors.Join(err, lab.Close())
		}
		lab.Workers = append(lab.Workers, worker)
	}
	return lab, nil
}

// Close kills the workers and stops the server.
func (l *Lab) Close() error {
	for _, worker := range l.Workers {
		_ = worker.Process.Kill()
		_ = worker.Wait()
	}
	if l.Client != nil {
		l.Client.Close()
	}
	return l.Server.Stop()
}

// Plan is a plan whose source user has a password.
func Plan(atlas *livemigrationtest.Server, name string) durable.Plan {
	request := atlas.SampleRequest()
	request.Source.ManagedAuthentication, request.Source.Username, request.Source.Password = false, "reader", ""
	return durable.Plan{Name: name, ProjectID: atlas.ProjectID(), Request: request}
}

// Plans are plans with clusters of their own on as many migration hosts. They may run at the same time.
func Plans(atlas *livemigrationtest.Server, n, hosts int) (plans []durable.Plan) {
	for i := range n {
		plan := Plan(atlas, fmt.Sprintf("m-%05d", i))
		plan.Request.Source.ClusterName = fmt.Sprintf("from-%d", i)
		plan.Request.Destination.ClusterName = fmt.Sprintf("to-%d", i)
		plan.Request.MigrationHosts = []string{fmt.Sprintf("vm-%d.example.com", i%hosts)}
		plan.Parallel = true
		plans = append(plans, plan)
	}
	return plans
}
