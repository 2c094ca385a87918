package response

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type hostName string

type deployment struct {
	Name    string `json:"name"`
	Sharded bool   `json:"sharded"`
	Shards  int    `json:"shardsSize"`
	OplogMB int32  `json:"oplogSizeMB"`
	Bytes   int64  `json:"dbSizeBytes"`
}

type project struct {
	ID          string       `json:"_id"`
	Status      string       `json:"status"`
	Ready       bool         `json:"ready"`
	Hosts       []hostName   `json:"hosts"`
	Lag         *int64       `json:"lag,omitempty"`
	Deployments []deployment `json:"deployments"`
	Share       float64      `json:"share"`
	Untagged    int
	Ignored     int `json:"-"`
}

func int64Of(n int64) *int64 { return &n }

func TestLenientValues(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		member string
		want   project
	}{
		"whole number":               {`"lag":12`, project{Lag: int64Of(12)}},
		"number with a point":        {`"lag":12.0`, project{Lag: int64Of(12)}},
		"number with an exponent":    {`"lag":1.2e1`, project{Lag: int64Of(12)}},
		"fraction":                   {`"lag":990.5`, project{Lag: int64Of(990)}},
		"negative fraction":          {`"lag":-0.5`, project{Lag: int64Of(-1)}},
		"string of digits":           {`"lag":"12"`, project{Lag: int64Of(12)}},
		"string of a fraction":       {`"lag":" 990.5 "`, project{Lag: int64Of(990)}},
		"largest number":             {`"lag":"9223372036854775807"`, project{Lag: int64Of(math.MaxInt64)}},
		"smallest number":            {`"lag":"-9223372036854775808"`, project{Lag: int64Of(math.MinInt64)}},
		"too large":                  {`"lag":9223372036854775808`, project{}},
		"far too large":              {`"lag":1e999`, project{}},
		"null":                       {`"lag":null`, project{}},
		"null in a string":           {`"lag":"null"`, project{}},
		"empty string":               {`"lag":""`, project{}},
		"words":                      {`"lag":"soon"`, project{}},
		"not a number of JSON":       {`"lag":"0x10"`, project{}},
		"infinite":                   {`"lag":"Inf"`, project{}},
		"truth value for a number":   {`"lag":true`, project{}},
		"object for a number":        {`"lag":{"a":1}`, project{}},
		"truth value in a string":    {`"ready":"True"`, project{Ready: true}},
		"false in a string":          {`"ready":"false"`, project{}},
		"other words":                {`"ready":"yes"`, project{}},
		"number for a truth value":   {`"ready":1`, project{}},
		"string for a list":          {`"hosts":"a"`, project{Hosts: []hostName{"a"}}},
		"number for a list":          {`"hosts":5`, project{}},
		"odd element":                {`"hosts":["a",5,"b"]`, project{Hosts: []hostName{"a", "b"}}},
		"nothing but odd elements":   {`"hosts":[5,{}]`, project{}},
		"object for a list":          {`"hosts":{"a":1}`, project{}},
		"number for a text":          {`"status":5`, project{}},
		"null for a text":            {`"status":null`, project{}},
		"text for a float":           {`"share":"0.5"`, project{}},
		"text for a list of objects": {`"deployments":"a"`, project{}},
		"object for one of objects":  {`"deployments":{"name":"a"}`, project{}},
		"odd values in an object": {`"deployments":[{"name":"a","sharded":"TRUE","shardsSize":"3","oplogSizeMB":990.5,"dbSizeBytes":5e9},7,{"name":5,"oplogSizeMB":5e9}]`,
			project{Deployments: []deployment{{"a", true, 3, 990, 5_000_000_000}, {}}}},
		"members without a place": {`"":1,"-":1,"Ignored":1,"Untagged":"1"`, project{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The odd share makes encoding/json fail, and the id shows that the rest is read.
			for _, body := range []string{`{"_id":"5f1b",` + tc.member + `}`, `{"share":"odd",` + tc.member + `,"_id":"5f1b"}`} {
				var got project
				require.NoError(t, Lenient([]byte(body), &got), body)
				tc.want.ID = "5f1b"
				assert.Equal(t, tc.want, got, body)
			}
		})
	}
}

func TestLenientOfAList(t *testing.T) {
	t.Parallel()
	var got []project
	require.NoError(t, Lenient([]byte(`[{"_id":"a","ready":"true"},5,"x",{"_id":"b"}]`), &got))
	assert.Equal(t, []project{{ID: "a", Ready: true}, {ID: "b"}}, got)
	require.NoError(t, Lenient([]byte(`[]`), &got))
	assert.Empty(t, got)
}

func TestLenientKeepsNothingOfHalfAnAttempt(t *testing.T) {
	t.Parallel()
	got := project{Status: "OLD"}
	require.NoError(t, Lenient([]byte(`{"hosts":[5],"_id":"a"}`), &got))
	assert.Equal(t, project{ID: "a"}, got)
}

func TestLenientFails(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{"_id":"a"`, `{"_id":"a"}}`, `<html>`, `5`, `"text"`, `[{"_id":"a"}]`} {
		require.Error(t, Lenient([]byte(body), new(project)), body)
	}
	for _, body := range []string{`{"_id":"a"}`, `"text"`, `[5]`, `5`} {
		require.Error(t, Lenient([]byte(body), new([]project)), body)
	}
}

// FuzzLenient compares with encoding/json: what that reads comes out the same, and what is not JSON is an error.
func FuzzLenient(f *testing.F) {
	for _, body := range []string{
		`{"_id":"a","lag":12,"hosts":["h"],"deployments":[{"name":"d","shardsSize":3}]}`, `{"lag":"12","ready":"true"}`, `[5,{"_id":"a"}]`,
		`{"deployments":{"name":5}}`, `{"lag":1e99}`, `null`, `"x"`, ``, `{"hosts":"a"}`, `{"lag":-9223372036854775809}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got, want project
		strict := json.Unmarshal(body, &want)
		err := Decode(body, &got)
		switch {
		case strict == nil && (err != nil || !assert.ObjectsAreEqual(want, got)):
			t.Fatalf("%s: %+v, %v, want %+v", body, got, err, want)
		case !json.Valid(body) && err == nil:
			t.Fatalf("%q is not JSON", body)
		case err != nil && (strings.Contains(err.Error(), "int64") || strings.Contains(err.Error(), "response.")):
			t.Fatalf("shows a Go type: %v", err)
		}
		var list []project
		if err := Decode(body, &list); err == nil && !json.Valid(body) {
			t.Fatalf("%q is not JSON", body)
		}
	})
}
