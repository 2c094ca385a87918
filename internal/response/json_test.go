package response

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func number(n int64) Number { return Number{&n} }

type deployment struct {
	Name  string `json:"name"`
	Bytes Number `json:"dbSizeBytes"`
}

type project struct {
	ID          string           `json:"projectId"`
	Ready       bool             `json:"ready"`
	Hosts       Strings          `json:"hosts"`
	Lag         Number           `json:"lag"`
	Deployments List[deployment] `json:"deployments"`
}

func TestOddValuesDoNotCostTheRest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		member string
		want   project
	}{
		"whole number":         {`"lag":12`, project{Lag: number(12)}},
		"zero":                 {`"lag":0`, project{Lag: number(0)}},
		"with a point":         {`"lag":12.0`, project{Lag: number(12)}},
		"with an exponent":     {`"lag":1.2e1`, project{Lag: number(12)}},
		"negative fraction":    {`"lag":-0.5`, project{Lag: number(-1)}},
		"largest number":       {`"lag":9223372036854775807`, project{Lag: number(math.MaxInt64)}},
		"too large":            {`"lag":9223372036854775808`, project{}},
		"far too large":        {`"lag":1e999`, project{}},
		"null for a number":    {`"lag":null`, project{}},
		"text for a number":    {`"lag":"12"`, project{}},
		"object for a number":  {`"lag":{"a":1}`, project{}},
		"number for a truth":   {`"ready":1`, project{}},
		"texts":                {`"hosts":["a","b"]`, project{Hosts: Strings{"a", "b"}}},
		"one text":             {`"hosts":"a"`, project{Hosts: Strings{"a"}}},
		"other values between": {`"hosts":["a",5,null,"b"]`, project{Hosts: Strings{"a", "b"}}},
		"null for texts":       {`"hosts":null`, project{}},
		"object for texts":     {`"hosts":{"a":1}`, project{}},
		"no objects":           {`"deployments":[]`, project{Deployments: List[deployment]{}}},
		"null for objects":     {`"deployments":null`, project{Deployments: List[deployment]{}}},
		"values in objects": {`"deployments":[{"name":7,"dbSizeBytes":5e9}]`,
			project{Deployments: List[deployment]{{Bytes: number(5_000_000_000)}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.want.ID = "5f1b"
			for _, body := range []string{`{"projectId":"5f1b",` + tc.member + `}`, `{"ready":[{}],` + tc.member + `,"projectId":"5f1b"}`} {
				var got project
				require.NoError(t, Decode([]byte(body), &got))
				assert.Equal(t, tc.want, got)
			}
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"":                              "unexpected end of JSON input",
		`{"projectId":`:                 "unexpected end of JSON input",
		`{"projectId":"a"}}`:            "invalid character '}' after top-level value",
		`"text"`:                        "unexpected string",
		`[{"projectId":"a"}]`:           "unexpected array",
		`{"deployments":"a"}`:           "unexpected value instead of a list",
		`{"deployments":[{"a":1},{ }]}`: "entry 1 has no members",
		`{"deployments":[null]}`:        "entry 0 has no members",
	} {
		require.EqualError(t, Decode([]byte(body), new(project)), want)
	}
	require.EqualError(t, Decode([]byte(`[{"deployments":[5]}]`), new(List[project])), "entry 0: entry 0 has no members")
	for _, broken := range []string{`[`, `[{"_id":"x"}`, `[{"_id":"x"},`, `[{"_id":"x"}] [`, `[{"_id":"x"}]]`, `[}`} {
		require.Error(t, Decode([]byte(broken), new(List[project])), broken)
	}
}

func TestJobID(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ data, want string }{
		"whole":              {`{"status":"NEW","_id":"x"}`, "x"},
		"indented":           {"\n{\n  \"_id\" : \"x\"\n}", "x"},
		"with an escape":     {`{"_id":"\u0041\""}`, `A"`},
		"cut off behind it":  {`{"status":"NEW","_id":"x","migrationHosts":["vm0`, "x"},
		"cut off in it":      {`{"_id":"x`, ""},
		"cut off before it":  {`{"status":"NEW",`, ""},
		"cut off in a name":  {`{"status":"NEW","_i`, ""},
		"in an envelope":     {`{"status":201, "content" : {"_id":"x","sta`, "x"},
		"in another member":  {`{"a":{"_id":"x"}}`, ""},
		"behind an object":   {`{"a":{"_id":"y"},"_id":"x"}`, ""},
		"a number":           {`{"_id":7}`, ""},
		"a list":             {`["_id","x"]`, ""},
		"in a list":          {`[{"_id":"x"}]`, ""},
		"a text that has it": {`{"a":"\"_id\":\"x\""}`, ""},
		"nothing":            {``, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, JobID([]byte(tc.data)))
		})
	}
}
