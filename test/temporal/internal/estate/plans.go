package estate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// Atlas is an in-memory Atlas in a process of its own.
type Atlas struct {
	Variables []string // NAME=value, for clients
	command   *exec.Cmd
}

// StartAtlas builds cmd/atlas-in-memory of the client's module and starts it with as many clusters.
func StartAtlas(ctx context.Context, folder string, clusters int, speed float64) (*Atlas, error) {
	program := filepath.Join(folder, "atlas-in-memory")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/livemigration/livemigration-go/livemigrationtest/cmd/atlas-in-memory")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build atlas-in-memory: %w: %s", err, output)
	}
	cmd := exec.Command(program, "-clusters", fmt.Sprint(clusters), "-speed", fmt.Sprint(speed))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start atlas-in-memory: %w", err)
	}
	atlas := &Atlas{command: cmd}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		atlas.Variables = append(atlas.Variables, lines.Text())
		if strings.HasPrefix(lines.Text(), "MONGODB_ATLAS_PROJECT_ID=") {
			return atlas, nil
		}
	}
	return nil, errors.Join(errors.New("atlas-in-memory has not printed its variables"), atlas.Stop())
}

// Stop ends the process.
func (a *Atlas) Stop() error {
	_ = a.command.Process.Signal(os.Interrupt)
	return a.command.Wait()
}

// Get is the value of a variable.
func (a *Atlas) Get(name string) string {
	for _, variable := range a.Variables {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

// Client is a client of it.
func (a *Atlas) Client() (*livemigration.Client, error) {
	return livemigration.NewClient(
		livemigration.APIKey(a.Get("MONGODB_ATLAS_PUBLIC_API_KEY"), livemigration.Secret(a.Get("MONGODB_ATLAS_PRIVATE_API_KEY"))),
		livemigration.WithBaseURL(a.Get("MONGODB_ATLAS_BASE_URL")))
}

// Plans are one for each source cluster. Two share a migration host where pairs is set. Sources have a user with a
// password.
func (a *Atlas) Plans(ctx context.Context, pairs bool) ([]durable.Plan, error) {
	c, err := a.Client()
	if err != nil {
		return nil, err
	}
	defer c.CloseIdleConnections()
	org, project := livemigration.OrgID(a.Get("MONGODB_ATLAS_ORG_ID")), livemigration.ProjectID(a.Get("MONGODB_ATLAS_PROJECT_ID"))
	if _, err := c.LinkTokens.Create(ctx, org, livemigration.LinkTokenRequest{}); err != nil {
		return nil, err
	}
	sources, err := c.AvailableProjects.List(ctx, org)
	if err != nil {
		return nil, err
	}
	var plans []durable.Plan
	for _, source := range sources {
		for i, deployment := range source.Deployments {
			from, hosts, err := source.Source(deployment.Name)
			if err != nil {
				return nil, err
			}
			if pairs {
				i -= i % 2
			}
			from.ManagedAuthentication, from.Username = false, "reader"
			plans = append(plans, durable.Plan{
				Name: deployment.Name, ProjectID: project,
				Request: livemigration.MigrationRequest{
					Source: from, Destination: livemigration.Destination{ClusterName: "to-" + deployment.Name},
					MigrationHosts: []string{hosts[i%len(hosts)]},
				},
			})
		}
	}
	return plans, nil
}
