package livemigration

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const validID = "5f2a1c2e3d4b5a6c7d8e9f01"

func TestIDsAreTwentyFourLowerCaseHexadecimalDigits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ id, want string }{
		"well-formed":  {validID, ""},
		"empty":        {"", "is empty; must be 24 lowercase hexadecimal digits"},
		"short":        {validID[1:], "has 23 characters; must be 24 lowercase hexadecimal digits"},
		"long":         {validID + "0", "has 25 characters; must be 24 lowercase hexadecimal digits"},
		"upper case":   {"5F2A1C2E3D4B5A6C7D8E9F01", "must be 24 lowercase hexadecimal digits"},
		"path escape":  {"../../5f2a1c2e3d4b5a6c7d", "must be 24 lowercase hexadecimal digits"},
		"after digits": {"5f2a1c2e3d4b5a6c7d8e9f0:", "must be 24 lowercase hexadecimal digits"},
		"after f":      {"5f2a1c2e3d4b5a6c7d8e9f0g", "must be 24 lowercase hexadecimal digits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for field, id := range map[string]interface{ Validate() error }{
				"organization ID": OrgID(tc.id), "project ID": ProjectID(tc.id),
				"validation ID": ValidationID(tc.id), "migration ID": MigrationID(tc.id),
			} {
				err := id.Validate()
				if tc.want == "" {
					assert.NoError(t, err)
					continue
				}
				var invalid *InvalidRequestError
				require.ErrorAs(t, err, &invalid)
				assert.ErrorIs(t, err, ErrInvalidRequest)
				assert.Equal(t, []FieldViolation{{field, tc.want}}, invalid.Violations)
			}
		})
	}
}

func TestARejectedIDIsNotShownInTheError(t *testing.T) {
	t.Parallel()
	err := ProjectID("a-private-key-in-the-wrong-place").Validate()
	assert.NotContains(t, err.Error(), "private-key")
}

func TestIDsFromFlagsAndFiles(t *testing.T) {
	t.Parallel()
	id, err := ParseMigrationID(" " + validID + "\n")
	require.NoError(t, err)
	assert.EqualValues(t, validID, id)
	for words, parse := range map[string]func(string) error{
		"organization ID": func(s string) error { _, err := ParseOrgID(s); return err },
		"project ID":      func(s string) error { _, err := ParseProjectID(s); return err },
		"validation ID":   func(s string) error { _, err := ParseValidationID(s); return err },
		"migration ID":    func(s string) error { _, err := ParseMigrationID(s); return err },
	} {
		require.NoError(t, parse(validID))
		err := parse("5f2a")
		require.ErrorIs(t, err, ErrInvalidRequest)
		assert.EqualError(t, err, "livemigration: invalid request: "+words+" has 4 characters; must be 24 lowercase hexadecimal digits")
	}
	for _, version := range []APIVersion{APIv2, APIv1} {
		parsed, err := ParseAPIVersion(version.String())
		require.NoError(t, err)
		assert.Equal(t, version, parsed)
	}
	_, err = ParseAPIVersion("unknown")
	require.ErrorIs(t, err, ErrInvalidRequest)
}

func TestEveryEndpointNamesItsMalformedIDs(t *testing.T) {
	t.Parallel()
	for _, e := range []*endpoint{
		&createLinkToken, &deleteLinkToken, &listAvailableProjects, &createValidation, &getValidation, &createMigration,
		&getMigration, &cutover, &createMigrationLink, &getMigrationLink, &deleteMigrationLink,
	} {
		ids := slices.Repeat([]string{"pasted"}, strings.Count(e.path, "{"))
		_, found := e.expand(ids)
		require.Len(t, found, len(ids), e.operation)
		for _, v := range found {
			assert.Contains(t, []string{"organization ID", "project ID", "validation ID", "migration ID"}, v.Field, e.operation)
		}
	}
}

// A key that was pasted in the place of an ID must not wait for its turn, nor be printed.
func TestAMalformedIDDoesNotStartAWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := script(reply(200, migrationJSON)).client(t, WithRateLimit(1, 1))
		_, err := client.Migrations.Get(t.Context(), destinationID, validID)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err = client.Migrations.WaitComplete(ctx, destinationID, "mdb_sa_sk_pasted")
		require.EqualError(t, err, "livemigration: invalid request: migration ID has 16 characters; must be 24 lowercase hexadecimal digits")
		_, err = client.Validations.Wait(ctx, "mdb_sa_sk_pasted", validID)
		require.EqualError(t, err, "livemigration: invalid request: project ID has 16 characters; must be 24 lowercase hexadecimal digits")
		assert.Zero(t, time.Since(begun))
	})
}
