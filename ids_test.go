package livemigration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const validID = "5f2a1c2e3d4b5a6c7d8e9f01"

func TestIDsAreTwentyFourLowerCaseHexadecimalDigits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ id, want string }{
		"well-formed":  {validID, ""},
		"empty":        {"", "is empty; must be 24 lower-case hexadecimal digits"},
		"short":        {validID[1:], "is 23 long; must be 24 lower-case hexadecimal digits"},
		"long":         {validID + "0", "is 25 long; must be 24 lower-case hexadecimal digits"},
		"upper case":   {"5F2A1C2E3D4B5A6C7D8E9F01", "must be 24 lower-case hexadecimal digits"},
		"path escape":  {"../../5f2a1c2e3d4b5a6c7d", "must be 24 lower-case hexadecimal digits"},
		"after digits": {"5f2a1c2e3d4b5a6c7d8e9f0:", "must be 24 lower-case hexadecimal digits"},
		"after f":      {"5f2a1c2e3d4b5a6c7d8e9f0g", "must be 24 lower-case hexadecimal digits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for field, id := range map[string]interface{ Validate() error }{
				"orgId": OrgID(tc.id), "groupId": ProjectID(tc.id),
				"validationId": ValidationID(tc.id), "liveMigrationId": MigrationID(tc.id),
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

func TestARefusedIDIsNotRepeatedInTheError(t *testing.T) {
	t.Parallel()
	err := ProjectID("a-private-key-in-the-wrong-place").Validate()
	assert.NotContains(t, err.Error(), "private-key")
}
