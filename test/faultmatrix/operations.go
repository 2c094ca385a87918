package faultmatrix

import (
	"context"
	"errors"
	"fmt"
	"slices"

	lm "github.com/livemigration/livemigration-go"
	lmtest "github.com/livemigration/livemigration-go/livemigrationtest"
)

// call makes a call and, where it succeeds, returns what is wrong with its result.
type call func(ctx context.Context, s *subject, opts ...lm.CallOption) (wrong, err error)

// Operations are the columns of the matrix.
var Operations = []*Operation{
	{lmtest.ListAvailableProjects, reading, func(ctx context.Context, s *subject, opts ...lm.CallOption) (wrong, err error) {
		projects, err := s.client.AvailableProjects.List(ctx, s.OrgID(), opts...)
		return unless(err == nil && (len(projects) == 0 || projects[0].ProjectID == ""), "no projects"), err
	}},
	{lmtest.GetValidation, reading, func(ctx context.Context, s *subject, opts ...lm.CallOption) (wrong, err error) {
		v, err := s.client.Validations.Get(ctx, s.ProjectID(), s.validation, opts...)
		return unless(err == nil && (v.ID != s.validation || v.Status != lm.ValidationSuccess), "another validation"), err
	}},
	{lmtest.GetMigration, reading, func(ctx context.Context, s *subject, opts ...lm.CallOption) (wrong, err error) {
		m, err := s.client.Migrations.Get(ctx, s.ProjectID(), s.migration, opts...)
		return unless(err == nil && (m.ID != s.migration || !m.ReadyForCutover), "another migration"), err
	}},
	{lmtest.CreateValidation, validating, func(ctx context.Context, s *subject, opts ...lm.CallOption) (wrong, err error) {
		v, err := s.client.Validations.Create(ctx, s.ProjectID(), s.request, opts...)
		if err != nil {
			return unless(v != nil, "a validation besides an error"), err
		}
		jobs := s.Validations()
		return unless(v.ID != jobs[len(jobs)-1].ID || v.ID == s.validation, "not the id of the new job"), nil
	}},
	{lmtest.DeleteLinkToken, deleting, func(ctx context.Context, s *subject, opts ...lm.CallOption) (wrong, err error) {
		return nil, s.client.LinkTokens.Delete(ctx, s.OrgID(), opts...)
	}},
	{lmtest.Cutover, cuttingOver, func(ctx context.Context, s *subject, opts ...lm.CallOption) (wrong, err error) {
		return nil, s.client.Migrations.Cutover(ctx, s.ProjectID(), s.migration, opts...)
	}},
	{lmtest.CreateMigration, creating, func(ctx context.Context, s *subject, opts ...lm.CallOption) (wrong, err error) {
		m, err := s.client.Migrations.Create(ctx, s.ProjectID(), s.request, opts...)
		if err != nil {
			return unless(m != nil, "a migration besides an error"), err
		}
		jobs := s.Migrations()
		return unless(m.ID != jobs[len(jobs)-1].ID || m.ID == s.migration, "not the id of the new job"), nil
	}},
	{lmtest.CreateLinkToken, creating, func(ctx context.Context, s *subject, opts ...lm.CallOption) (wrong, err error) {
		token, err := s.client.LinkTokens.Create(ctx, s.OrgID(), lm.LinkTokenRequest{AccessListIPs: []string{"192.0.2.10"}}, opts...)
		if err != nil {
			return unless(token != nil, "a link-token besides an error"), err
		}
		return unless(token.Token.Reveal() == "", "an empty link-token"), nil
	}},
	{lmtest.GetMigrationLinkStatus, reading, func(ctx context.Context, s *subject, opts ...lm.CallOption) (wrong, err error) {
		link, err := s.source.MigrationLink.Status(ctx, s.SourceOrgID(), opts...)
		return unless(err == nil && link.Status != lm.MigrationLinkSynced, "another status"), err
	}},
	{lmtest.DeleteMigrationLink, deleting, func(ctx context.Context, s *subject, opts ...lm.CallOption) (wrong, err error) {
		return nil, s.source.MigrationLink.Delete(ctx, s.SourceOrgID(), opts...)
	}},
	{lmtest.CreateMigrationLink, creating, func(ctx context.Context, s *subject, opts ...lm.CallOption) (wrong, err error) {
		link, err := s.source.MigrationLink.Create(ctx, s.SourceOrgID(), s.token, opts...)
		if err != nil {
			return unless(link != nil, "a link besides an error"), err
		}
		return unless(link.Status != lm.MigrationLinkSynced, "another status"), nil
	}},
}

// onSource reports whether the operation is one of the source side, where there are no service accounts.
func (o *Operation) onSource() bool {
	switch o.Name {
	case lmtest.GetMigrationLinkStatus, lmtest.DeleteMigrationLink, lmtest.CreateMigrationLink:
		return true
	default:
		return false
	}
}

func unless(bad bool, what string) error {
	if bad {
		return errors.New(what)
	}
	return nil
}

// holding is how many things an Atlas holds.
type holding struct{ validations, migrations, cutOver, linkTokens, links int }

func (s *subject) holding(ctx context.Context) (holding, error) {
	h := holding{validations: len(s.Validations()), migrations: len(s.Migrations()), linkTokens: s.LinkTokenCount()}
	i := slices.IndexFunc(s.Migrations(), func(m lmtest.Migration) bool { return m.ID == s.migration })
	if i >= 0 && !s.Migrations()[i].ReadyForCutover {
		h.cutOver = 1
	}
	if s.auditor == nil {
		return h, nil
	}
	projects, err := s.auditor.AvailableProjects.List(ctx, s.OrgID())
	if len(projects) > 0 { // those of source organizations that are connected
		h.links = 1
	}
	return h, err
}

// change is what the operation has changed, and what else has changed, which must be nothing.
func (o *Operation) change(before, after holding) (int, error) {
	d := holding{
		after.validations - before.validations, after.migrations - before.migrations, after.cutOver - before.cutOver,
		after.linkTokens - before.linkTokens, after.links - before.links,
	}
	var own *int
	switch o.Name {
	case lmtest.CreateValidation:
		own = &d.validations
	case lmtest.CreateMigration:
		own = &d.migrations
	case lmtest.Cutover:
		own = &d.cutOver
	case lmtest.CreateLinkToken, lmtest.DeleteLinkToken:
		own = &d.linkTokens
	case lmtest.CreateMigrationLink, lmtest.DeleteMigrationLink:
		own = &d.links
	default:
		own = new(int)
	}
	n := *own
	*own = 0
	if d != (holding{}) {
		return n, fmt.Errorf("something else has changed: %+v", d)
	}
	return n, nil
}
