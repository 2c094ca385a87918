package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

// sourcePoll is the time between two looks at the source projects, without -poll.
const sourcePoll = 5 * time.Second

// findSource makes sure that the source of the request can be migrated. With a link-token that was just created, it
// waits for that; without one, there is nothing to wait for. A failure to look ends the run only when it is the first
// look, or one that looking again cannot mend.
func (r *runner) findSource(ctx context.Context) error {
	return r.phase(ctx, "source projects", func() (string, error) {
		for looked := false; ; looked = true {
			projects, err := r.client.AvailableProjects.List(ctx, r.opts.org)
			if err != nil && !(looked && passing(ctx, err)) {
				return "", err
			}
			if err == nil {
				found, missing := lookFor(r.request.Source, projects)
				if found != "" {
					return found, nil
				}
				if !r.linkToken {
					return "", fmt.Errorf("the source cannot be migrated: %s (-token-file connects one)", missing)
				}
				r.display.state("waiting: " + missing)
			}
			if err := sleep(ctx, cmp.Or(r.opts.poll, sourcePoll)); err != nil {
				return "", err
			}
		}
	})
}

// lookFor returns the source in words or, when it is not there, what is there instead.
func lookFor(source livemigration.Source, projects []livemigration.AvailableProject) (found, missing string) {
	if len(projects) == 0 {
		return "", "no source organization is connected to the Atlas organization"
	}
	at := slices.IndexFunc(projects, func(p livemigration.AvailableProject) bool { return p.ProjectID == source.ProjectID })
	if at < 0 {
		return "", fmt.Sprintf("source project %s is not connected; connected are %s", source.ProjectID,
			list(projects, func(p livemigration.AvailableProject) string { return fmt.Sprintf("%s (%s)", p.ProjectID, p.Name) }))
	}
	project := projects[at]
	name := func(d livemigration.Deployment) string { return d.Name }
	if !slices.ContainsFunc(project.Deployments, func(d livemigration.Deployment) bool { return d.Name == source.ClusterName }) {
		return "", fmt.Sprintf("source project %s has no cluster %s; it has %s", project.Name, source.ClusterName,
			list(project.Deployments, name))
	}
	return fmt.Sprintf("cluster %s of project %s", source.ClusterName, project.Name), ""
}

func list[T any](items []T, name func(T) string) string {
	if len(items) == 0 {
		return "none"
	}
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = name(item)
	}
	return strings.Join(names, ", ")
}

// passing reports whether a look that failed says nothing about the next one.
func passing(ctx context.Context, err error) bool {
	var api *livemigration.APIError
	if errors.As(err, &api) {
		return errors.Is(err, livemigration.ErrServer) || errors.Is(err, livemigration.ErrRateLimited)
	}
	return ctx.Err() == nil && !errors.Is(err, livemigration.ErrInvalidRequest)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
