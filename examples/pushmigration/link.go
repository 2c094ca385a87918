package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

// connect makes sure that the source organization is connected: with a link-token of the program's own, or by a person.
func (j *job) connect(ctx context.Context) error {
	if j.opts.link {
		token, err := j.linkToken(ctx)
		if err != nil {
			return err
		}
		if err := j.useToken(ctx, token); err != nil {
			return err
		}
	}
	return j.findSource(ctx)
}

// linkToken creates the link-token, or reads the one that a run before has created. The file exists before the request is
// sent: if it is empty afterwards, nobody knows whether there is a token.
func (j *job) linkToken(ctx context.Context) (livemigration.Secret, error) {
	path := j.tokenFile()
	data, err := os.ReadFile(path)
	if token := strings.TrimSpace(string(data)); token != "" {
		return livemigration.Secret(token), nil
	}
	if err == nil {
		return "", &failure{exitUnclear, "a run before may have created a link-token of organization " + string(j.opts.org) +
			". Delete it in Atlas, and remove " + path + ", before you run this again"}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return "", err
	}
	j.show.step("link-token", "creating")
	token, err := j.client.LinkTokens.Create(ctx, j.opts.org, livemigration.LinkTokenRequest{AccessListIPs: j.opts.accessList}, livemigration.WithGrace(grace))
	if err != nil {
		if !livemigration.MayHaveCreated(err) {
			_ = os.Remove(path)
		}
		return "", err
	}
	if err := os.WriteFile(path, []byte(token.Token.Reveal()+"\n"), 0o600); err != nil {
		return "", err
	}
	j.show.step("link-token", "created, in "+path)
	return token.Token, nil
}

// grace is for how long a request that creates something goes on when the program is told to stop.
const grace = 10 * time.Second

// useToken connects the source organization, or asks a person to.
func (j *job) useToken(ctx context.Context, token livemigration.Secret) error {
	if j.source == nil {
		j.show.line("Paste the link-token into Cloud Manager or Ops Manager (Live Migration):\n%s", j.tokenFile())
		return nil
	}
	link, err := j.source.MigrationLink.Status(ctx, j.opts.sourceOrg)
	if err == nil && link.Status != livemigration.MigrationLinkSynced {
		link, err = j.source.MigrationLink.Create(ctx, j.opts.sourceOrg, token, livemigration.WithGrace(grace))
		if errors.Is(err, livemigration.ErrOutcomeUnknown) { // Status tells
			link, err = j.source.MigrationLink.Status(ctx, j.opts.sourceOrg)
		}
	}
	if err != nil {
		return err
	}
	j.show.step("source", "organization "+string(j.opts.sourceOrg)+" "+string(link.Status))
	return nil
}

// findSource waits until the source cluster can be migrated. Without -link there is nothing to wait for.
func (j *job) findSource(ctx context.Context) error {
	for {
		projects, err := j.client.AvailableProjects.List(ctx, j.opts.org)
		if err != nil {
			return err
		}
		missing := "no source project " + string(j.request.Source.ProjectID) + " is connected to the Atlas organization"
		for _, p := range projects {
			if p.ProjectID != j.request.Source.ProjectID {
				continue
			}
			if _, _, err = p.Source(j.request.Source.ClusterName); err == nil {
				j.show.step("source", "cluster "+j.request.Source.ClusterName+" of project "+p.Name)
				return nil
			}
			missing = text(err)
		}
		if !j.opts.link {
			return usagef("the source cannot be migrated: %s; -link connects a source organization", missing)
		}
		j.show.step("source", "waiting: "+missing)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(max(j.opts.poll, sourcePoll)):
		}
	}
}

// sourcePoll is the time between two looks at the source projects.
const sourcePoll = 2 * time.Second

// disconnect deletes the link-token that the program has created, when nothing of the organization runs any more.
func (j *job) disconnect(ctx context.Context) error {
	if data, err := os.ReadFile(j.tokenFile()); err != nil || len(data) == 0 {
		return nil
	}
	err := j.client.LinkTokens.Delete(ctx, j.opts.org)
	switch {
	case errors.Is(err, livemigration.ErrConflict):
		j.show.step("link-token", "kept: another migration of the organization runs")
		return nil
	case err != nil && !errors.Is(err, livemigration.ErrNotFound):
		return err
	}
	j.show.step("link-token", "deleted")
	return os.Remove(j.tokenFile())
}
