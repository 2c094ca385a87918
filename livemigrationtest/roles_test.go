package livemigrationtest_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestRoles(t *testing.T) {
	t.Parallel()
	for _, op := range allOperations {
		for role, want := range map[livemigrationtest.Role]bool{
			livemigrationtest.NoRole:    false,
			livemigrationtest.OrgMember: op == livemigrationtest.GetMigration,
			livemigrationtest.OrgOwner:  true,
		} {
			t.Run(fmt.Sprintf("%s as %s", op, role), func(t *testing.T) {
				t.Parallel()
				srv := newServer(t, livemigrationtest.WithInProcess())
				client, err := livemigration.NewClient(srv.CredentialsFor(role),
					livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(srv.HTTPClient()))
				require.NoError(t, err)
				_ = callOperation(t, client, srv, op)
				last := srv.Recorded()[1]
				assert.True(t, last.Authenticated)
				assert.Equal(t, want, last.StatusCode != http.StatusForbidden, "status %d", last.StatusCode)
			})
		}
	}
}

// callOperation calls an endpoint by the client, for jobs that do not exist.
func callOperation(t *testing.T, client *livemigration.Client, srv *livemigrationtest.Server, op livemigrationtest.Operation) error {
	t.Helper()
	const job = "0123456789abcdef01234567"
	var err error
	ctx, project := t.Context(), srv.ProjectID()
	switch op {
	case livemigrationtest.CreateLinkToken:
		_, err = client.LinkTokens.Create(ctx, srv.OrgID(), livemigration.LinkTokenRequest{})
	case livemigrationtest.DeleteLinkToken:
		err = client.LinkTokens.Delete(ctx, srv.OrgID())
	case livemigrationtest.ListAvailableProjects:
		_, err = client.AvailableProjects.List(ctx, srv.OrgID())
	case livemigrationtest.CreateValidation:
		_, err = client.Validations.Create(ctx, project, srv.SampleRequest())
	case livemigrationtest.GetValidation:
		_, err = client.Validations.Get(ctx, project, job)
	case livemigrationtest.CreateMigration:
		_, err = client.Migrations.Create(ctx, project, srv.SampleRequest())
	case livemigrationtest.GetMigration:
		_, err = client.Migrations.Get(ctx, project, job)
	case livemigrationtest.Cutover:
		err = client.Migrations.Cutover(ctx, project, job)
	}
	return err
}

func TestRoleString(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "Organization Owner", livemigrationtest.OrgOwner.String())
	assert.Equal(t, "Organization Member", livemigrationtest.OrgMember.String())
	assert.Equal(t, "no role", livemigrationtest.NoRole.String())
	assert.Equal(t, "Role(9)", livemigrationtest.Role(9).String())
}
