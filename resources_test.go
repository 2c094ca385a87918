package livemigration

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLinkTokenRequestRules(t *testing.T) {
	t.Parallel()
	const want = `must be an IP address such as "192.0.2.10" or a CIDR block such as "198.51.100.0/24"`
	good := LinkTokenRequest{AccessListIPs: []string{"192.0.2.10", "198.51.100.0/24", "2001:db8::1", "2001:db8::/32"}}
	assert.Empty(t, good.violations(APIv2))
	assert.Empty(t, good.violations(APIv1))
	assert.Empty(t, LinkTokenRequest{}.violations(APIv2))
	assert.Equal(t, []FieldViolation{{"accessListIps", "is required in API v1.0: at least one IP address or CIDR block"}},
		LinkTokenRequest{}.violations(APIv1))
	bad := LinkTokenRequest{AccessListIPs: []string{"192.0.2.10", "example.com", "", "192.0.2.0/33", "fe80::1%eth0", "192.0.2.10 "}}
	assert.Equal(t, []FieldViolation{{"accessListIps[1]", want}, {"accessListIps[2]", want}, {"accessListIps[3]", want},
		{"accessListIps[4]", want}, {"accessListIps[5]", want}}, bad.violations(APIv2))
}

func TestLinkTokenForms(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ data, want string }{
		"object":             {`{"linkToken": "t0k3n"}`, "t0k3n"},
		"array in an object": {`{"linkToken": ["t0k3n"]}`, "t0k3n"},
		"array":              {`["t0k3n"]`, "t0k3n"},
		"unknown members":    {`{"linkToken": "t0k3n", "expires": {"at": 1}}`, "t0k3n"},
		"missing":            {`{}`, ""},
		"null":               {`{"linkToken": null}`, ""},
		"empty array":        {`[]`, ""},
		"a number":           {`{"linkToken": 1}`, ""},
		"a list of numbers":  {`[1]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := LinkToken{Token: "from before"}
			require.NoError(t, json.Unmarshal([]byte(tc.data), &token))
			assert.Equal(t, tc.want, token.Token.Reveal())
		})
	}
	for name, data := range map[string]string{"two": `["a", "b"]`, "no JSON": `{`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Error(t, json.Unmarshal([]byte(data), new(LinkToken)))
		})
	}
}

func TestMigrationForms(t *testing.T) {
	t.Parallel()
	lag := int64(12)
	for name, tc := range map[string]struct {
		data string
		want Migration
	}{
		"v2": {`{"_id":"` + validID + `","status":"WORKING","readyForCutover":true,"migrationHosts":["vm001.example.com"],"lagTimeSeconds":12}`,
			Migration{validID, MigrationWorking, true, []string{"vm001.example.com"}, &lag}},
		"v1.0 with one bare host": {`{"_id":"` + validID + `","status":"NEW","migrationHosts":"vm001.example.com"}`,
			Migration{ID: validID, Status: MigrationNew, MigrationHosts: []string{"vm001.example.com"}}},
		"no lag and an unknown status": {`{"_id":"` + validID + `","status":"PAUSED","lagTimeSeconds":null,"new":[{}]}`,
			Migration{ID: validID, Status: "PAUSED"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m Migration
			require.NoError(t, json.Unmarshal([]byte(tc.data), &m))
			assert.Equal(t, tc.want, m)
			data, err := json.Marshal(m)
			require.NoError(t, err)
			var again Migration
			require.NoError(t, json.Unmarshal(data, &again))
			assert.Equal(t, m, again, "what is kept in a file comes back")
		})
	}
	assert.Error(t, json.Unmarshal([]byte(`{"migrationHosts": "\ud800`), new(Migration)))
}

func TestLag(t *testing.T) {
	t.Parallel()
	_, ok := (&Migration{}).Lag()
	assert.False(t, ok)
	for seconds, want := range map[int64]time.Duration{
		0: 0, 12: 12 * time.Second,
		math.MaxInt64: math.MaxInt64 / time.Second * time.Second,
		math.MinInt64: -(math.MaxInt64 / time.Second * time.Second),
	} {
		lag, ok := (&Migration{LagTimeSeconds: &seconds}).Lag()
		assert.True(t, ok)
		assert.Equal(t, want, lag)
	}
}

func TestFinalStatuses(t *testing.T) {
	t.Parallel()
	for status, final := range map[MigrationStatus]bool{
		MigrationNew: false, MigrationWorking: false, MigrationComplete: true, MigrationFailed: true, MigrationExpired: true, "PAUSED": false, "": false,
	} {
		assert.Equal(t, final, status.Final(), string(status))
	}
	for status, final := range map[ValidationStatus]bool{
		ValidationPending: false, ValidationSuccess: true, ValidationFailed: true, "QUEUED": false,
	} {
		assert.Equal(t, final, status.Final(), string(status))
	}
}
