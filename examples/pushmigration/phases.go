package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/livemigration/livemigration-go"
)

// createLinkToken makes the token that connects the source organization, if there is a file to keep it in.
func (r *runner) createLinkToken(ctx context.Context) error {
	path := r.opts.tokenFile
	switch {
	case r.opts.deleteLinkToken:
		r.say("With -delete-link-token no link-token is created: the one that exists is used, and deleted in the end.")
		return nil
	case path == "":
		r.say("Without -token-file no link-token is created: the source organization has to be connected already.")
		return nil
	}
	file, err := createTokenFile(path)
	if err != nil {
		return err
	}
	r.note(func(s *standing) { s.tokenFile = path })
	err = r.phase(ctx, "link-token", func() (string, error) { return "written to " + path, r.fill(ctx, file) })
	switch {
	case err != nil:
		if !r.linkToken {
			file.discard()
			r.note(func(s *standing) { s.tokenFile = "" })
		}
		return err
	case r.opts.demo:
		r.say("With a real Atlas you would now paste it into Cloud Manager or Ops Manager.")
	default:
		r.say("Now connect the source organization to Atlas: paste the link-token in %s\n"+
			"into Cloud Manager or Ops Manager (Live Migration).", path)
	}
	return nil
}

// fill creates a link-token and writes it to the file.
func (r *runner) fill(ctx context.Context, file *tokenFile) error {
	var token *livemigration.LinkToken
	err := r.decide(ctx, createToken, func(ctx context.Context) (err error) {
		token, err = r.client.LinkTokens.Create(ctx, r.opts.org, livemigration.LinkTokenRequest{AccessListIPs: r.opts.accessList})
		return err
	})
	if err != nil {
		return err
	}
	r.note(func(s *standing) { s.linkToken = true })
	return file.write(token.Token)
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
		return "created", r.decide(ctx, createMigration, func(ctx context.Context) error {
			m, err := r.client.Migrations.Create(ctx, r.opts.project, r.request)
			if err == nil {
				r.note(func(s *standing) { s.migration = m.ID })
			}
			return err
		})
	})
	if err == nil {
		r.say("Migration id: %s", r.migration) // on a line of its own: the display may cut its lines
	}
	return err
}

// adopt takes the migration of -resume for its own.
func (r *runner) adopt(context.Context) error {
	r.note(func(s *standing) { s.migration = r.opts.resume })
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
		return "accepted", r.decide(ctx, cutover, func(ctx context.Context) error {
			return r.client.Migrations.Cutover(ctx, r.opts.project, r.migration)
		})
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
		result := "deleted"
		err := r.client.LinkTokens.Delete(ctx, r.opts.org)
		switch {
		case errors.Is(err, livemigration.ErrNotFound):
			result = "there was none"
		case err != nil:
			return "", err
		}
		file := r.tokenFile
		r.note(func(s *standing) { s.linkToken, s.tokenFile = false, "" })
		return result + removed(file), nil
	})
}

// confirmDeletion asks before a deletion that follows no migration of this run.
func (r *runner) confirmDeletion(ctx context.Context) error {
	return r.confirm(ctx, fmt.Sprintf("Deleting the link-token of organization %s stops the synchronization of every migration\n"+
		"of the organization that still runs.", r.opts.org), "Delete it?")
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
	r.note(func(s *standing) { s.ended = s.ended || m != nil && m.Status.Final() })
}

// describe is the state of a migration in a few words.
func describe(m *livemigration.Migration) string {
	words := []string{cmp.Or(string(m.Status), "no status")}
	if lag, ok := m.Lag(); ok {
		words = append(words, "lag "+lag.String())
	}
	return strings.Join(words, ", ")
}
