package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/livemigration/livemigration-go"
)

// createLinkToken makes the token that connects the source organization, if there is a file to keep it in.
func (r *runner) createLinkToken(ctx context.Context) error {
	path := r.opts.tokenFile
	if path == "" {
		r.say("Without -token-file no link-token is created: the source organization has to be connected already.")
		return nil
	}
	err := r.phase(ctx, "link-token", func() (string, error) {
		file, err := createTokenFile(path)
		if err != nil {
			return "", err
		}
		ctx, cancel := r.outlasting(ctx)
		defer cancel()
		token, err := r.client.LinkTokens.Create(ctx, r.opts.org, livemigration.LinkTokenRequest{AccessListIPs: r.opts.accessList})
		if err != nil {
			file.discard()
			return "", err
		}
		r.linkToken = true
		return "written to " + path, file.write(token.Token)
	})
	switch {
	case err != nil:
		return err
	case r.opts.demo:
		r.say("With a real Atlas you would now paste it into Cloud Manager or Ops Manager.")
	default:
		r.say("Now connect the source organization to Atlas: paste the link-token in %s\n"+
			"into Cloud Manager or Ops Manager (Live Migration).", path)
	}
	return nil
}

// validate lets Atlas check the request without carrying it out.
func (r *runner) validate(ctx context.Context) error {
	return r.phase(ctx, "validation", func() (string, error) {
		created, err := r.client.Validations.Create(ctx, r.opts.project, r.request)
		if err != nil {
			return "", err
		}
		update := livemigration.WithOnUpdate(func(v *livemigration.Validation) {
			if !v.Status.Final() {
				r.display.state(string(v.Status))
			}
		})
		v, err := r.client.Validations.Wait(ctx, r.opts.project, created.ID, r.opts.waitOptions(update)...)
		if err != nil {
			return "", err
		}
		return string(v.Status), nil
	})
}

// start creates the migration and at once prints its id, which Atlas does not tell a second time.
func (r *runner) start(ctx context.Context) error {
	if r.request.DropDestinationData {
		warning := fmt.Sprintf("All data in the destination cluster %s will be dropped.", r.request.Destination.ClusterName)
		if r.opts.yes {
			r.say("%s", warning)
		}
		if err := r.confirm(ctx, warning, "Drop them and start the migration?"); err != nil {
			return err
		}
	}
	err := r.phase(ctx, "migration", func() (string, error) {
		ctx, cancel := r.outlasting(ctx)
		defer cancel()
		m, err := r.client.Migrations.Create(ctx, r.opts.project, r.request)
		if err != nil {
			return "", err
		}
		r.migration = m.ID
		return "created", nil
	})
	if err == nil {
		r.say("Migration id: %s", r.migration) // on a line of its own: the display may cut its lines
	}
	return err
}

// adopt takes the migration of -resume for its own.
func (r *runner) adopt(context.Context) error {
	r.migration = r.opts.resume
	r.say("Going on with migration %s.", r.migration)
	return nil
}

// replicate waits until the destination has caught up. A migration that has been cut over already is waited for to
// the end.
func (r *runner) replicate(ctx context.Context) error {
	return r.phase(ctx, "replication", func() (string, error) {
		update := livemigration.WithOnUpdate(func(m *livemigration.Migration) {
			if !m.Status.Final() && !m.ReadyForCutover {
				r.display.state(describe(m) + ", not ready for cutover")
			}
		})
		m, err := r.client.Migrations.WaitReadyForCutover(ctx, r.opts.project, r.migration, r.opts.waitOptions(update)...)
		r.notice(m)
		switch {
		case err != nil:
			return "", err
		case r.ended:
			return "had been cut over", nil
		default:
			return describe(m) + ", ready for cutover", nil
		}
	})
}

// cutOver ends the synchronization: from then on the destination is on its own.
func (r *runner) cutOver(ctx context.Context) error {
	if r.ended {
		return nil
	}
	const warning = "Stop all writes to the source now: what is written to it after the cutover does not reach the destination."
	if err := r.confirm(ctx, warning, "Cut over?"); err != nil {
		return err
	}
	return r.phase(ctx, "cutover", func() (string, error) {
		ctx, cancel := r.outlasting(ctx)
		defer cancel()
		return "accepted", r.client.Migrations.Cutover(ctx, r.opts.project, r.migration)
	})
}

// complete waits until Atlas has finished.
func (r *runner) complete(ctx context.Context) error {
	err := r.phase(ctx, "completion", func() (string, error) {
		update := livemigration.WithOnUpdate(func(m *livemigration.Migration) {
			if !m.Status.Final() {
				r.display.state(describe(m))
			}
		})
		m, err := r.client.Migrations.WaitComplete(ctx, r.opts.project, r.migration, r.opts.waitOptions(update)...)
		r.notice(m)
		if err != nil {
			return "", err
		}
		return string(m.Status), nil
	})
	if err == nil {
		r.say("Migration %s is COMPLETE.", r.migration)
	}
	return err
}

// deleteLinkToken is for the time after completion: before it, deleting would stop the synchronization.
func (r *runner) deleteLinkToken(ctx context.Context) error {
	if !r.linkToken {
		return nil
	}
	return r.phase(ctx, "link-token removal", func() (string, error) {
		err := r.client.LinkTokens.Delete(ctx, r.opts.org)
		gone := errors.Is(err, livemigration.ErrNotFound)
		if err != nil && !gone {
			return "", err
		}
		r.linkToken = false
		if r.opts.tokenFile != "" {
			_ = os.Remove(r.opts.tokenFile) // what it holds is of no use to anybody any more
		}
		if gone {
			return "there was none", nil
		}
		return "deleted", nil
	})
}

// confirm asks before something that cannot be undone.
func (r *runner) confirm(ctx context.Context, warning, question string) error {
	if err := ctx.Err(); err != nil || r.opts.yes {
		return err
	}
	yes, err := r.prompt.ask(ctx, warning, question)
	if err == nil && !yes {
		return errDeclined
	}
	return err
}

// notice takes note of the end of the migration; m may be nil.
func (r *runner) notice(m *livemigration.Migration) {
	r.ended = r.ended || m != nil && m.Status.Final()
}

// describe is the state of a migration in a few words.
func describe(m *livemigration.Migration) string {
	words := []string{cmp.Or(string(m.Status), "no status")}
	if lag, ok := m.Lag(); ok {
		words = append(words, "lag "+lag.String())
	}
	return strings.Join(words, ", ")
}
