package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

// tokenName is the name of the file with the link-token in the state directory.
const tokenName = "link-token"

func (j *job) tokenFile() string { return filepath.Join(j.state, tokenName) }

// connect makes sure that the source organization is connected, by the program itself or by a person.
func (j *job) connect(ctx context.Context) error {
	if !j.link {
		return j.findSource(ctx)
	}
	token, err := j.linkToken(ctx)
	if err == nil {
		err = j.useToken(ctx, token)
	}
	if err != nil {
		return err
	}
	return j.findSource(ctx)
}

// linkToken creates the link-token, or reads the one that a run before has created. The file exists before the request is
// sent: if it is empty afterwards, it is unknown whether there is a link-token.
func (j *job) linkToken(ctx context.Context) (livemigration.Secret, error) {
	path := j.tokenFile()
	data, err := os.ReadFile(path)
	if token := strings.TrimSpace(string(data)); token != "" {
		return livemigration.Secret(token), nil
	}
	if err == nil {
		return "", &failure{exitUnclear, "a run before may have created a link-token of organization " + string(j.org) +
			". Delete it in Atlas, and remove " + path + ", before you run this again"}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return "", err
	}
	token, err := j.client.LinkTokens.Create(ctx, j.org, livemigration.LinkTokenRequest{})
	if err != nil {
		if !livemigration.MayHaveCreated(err) {
			_ = os.Remove(path)
		}
		return "", err
	}
	j.step("link-token created, in %s", path)
	return token.Token, os.WriteFile(path, []byte(token.Token.Reveal()+"\n"), 0o600)
}

// useToken connects the source organization, or asks a person to.
func (j *job) useToken(ctx context.Context, token livemigration.Secret) error {
	if j.source == nil {
		j.step("paste the link-token into Cloud Manager or Ops Manager (Live Migration): %s", j.tokenFile())
		return nil
	}
	link, err := j.source.MigrationLink.Status(ctx, j.sourceOrg)
	if err == nil && link.Status != livemigration.MigrationLinkSynced {
		link, err = j.source.MigrationLink.Create(ctx, j.sourceOrg, token)
		if errors.Is(err, livemigration.ErrOutcomeUnknown) { // the status says whether it was created
			link, err = j.source.MigrationLink.Status(ctx, j.sourceOrg)
		}
	}
	if err == nil {
		j.step("source organization %s %s", j.sourceOrg, link.Status)
	}
	return err
}

// findSource waits until the source cluster can be migrated. Without -link there is nothing to wait for.
func (j *job) findSource(ctx context.Context) error {
	source := j.plan.Request.Source
	for shown := ""; ; {
		projects, err := j.client.AvailableProjects.List(ctx, j.org)
		if err != nil {
			return err
		}
		missing := "no source project " + string(source.ProjectID) + " is connected to the Atlas organization"
		for _, p := range projects {
			if p.ProjectID != source.ProjectID {
				continue
			}
			if _, _, err = p.Source(source.ClusterName); err == nil {
				j.step("source cluster %s of project %s", source.ClusterName, p.Name)
				return nil
			}
			missing = text(err)
		}
		if !j.link {
			return usagef("the source cannot be migrated: %s; -link connects a source organization", missing)
		}
		if missing != shown {
			shown = missing
			j.step("waiting: %s", missing)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Second):
		}
	}
}

// disconnect deletes the link-token that the program has created, unless another migration of the organization runs.
func (j *job) disconnect(ctx context.Context) error {
	if data, err := os.ReadFile(j.tokenFile()); err != nil || len(data) == 0 {
		return nil
	}
	switch err := j.client.LinkTokens.Delete(ctx, j.org); {
	case errors.Is(err, livemigration.ErrConflict):
		j.step("link-token kept: another migration of the organization runs")
		return nil
	case err != nil && !errors.Is(err, livemigration.ErrNotFound):
		return err
	}
	j.step("link-token deleted")
	return os.Remove(j.tokenFile())
}
