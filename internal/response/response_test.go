package response

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/redact"
)

func TestCheckIgnored(t *testing.T) {
	t.Parallel()
	cut := io.ErrUnexpectedEOF
	for _, tc := range []struct {
		name, body string
		err        error
		enveloped  bool
		want       string
	}{
		{"nothing", "", nil, false, ""},
		{"space", " \n", nil, true, ""},
		{"JSON", `{"_id":"x"}`, nil, false, ""},
		{"a validation", `{"_id":"x","status":"PENDING","errorMessage":"","error":0,"errorCode":null}`, nil, false, ""},
		{"a job with a code", `{"_id":"x","status":"PENDING","errorCode":"NONE","error":200}`, nil, false, ""},
		{"a code alone", `{"errorCode":"NOT_READY"}`, nil, false, "it is an error: NOT_READY"},
		{"a code and a reason", `{"errorCode":"NOT_READY","detail":"too early"}`, nil, false, "it is an error: NOT_READY: too early"},
		{"a code in a resource", `{"_id":"x","status":"x","error":409,"errorCode":"NOT_READY"}`, nil, true, "it is an error: NOT_READY"},
		{"an error that is no status", `{"error":600,"detail":"why"}`, nil, false, "it is an error: why"},
		{"an error that says nothing", `{"error":40}`, nil, false, "it is an error: no code in it"},
		{"a page", "<html>please log in</html>", nil, true, "it is not JSON"},
		{"the start of JSON", `{"_id":"5f`, cut, false, cut.Error()},
		{"the start of a job", `{"_id":"5f","status":"PEN`, cut, false, ""},
		{"the start of an error", `{"error":409,"errorCode":"NOT_R`, cut, false, cut.Error()},
		{"the start of a long list", `[{`, ErrTooLarge, false, ""},
		{"the start of a page", "<html>please", cut, false, "it is not JSON"},
		{"the start of a long page", "<html>", ErrTooLarge, false, "it is not JSON"},
		{"the start of an envelope", `{"status":200`, cut, true, cut.Error()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := CheckIgnored([]byte(tc.body), tc.err, tc.enveloped)
			if tc.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, tc.want)
			}
		})
	}
}

func TestWithExcerpt(t *testing.T) {
	t.Parallel()
	r := redact.New([]string{"hunter2"})
	for name, tc := range map[string]struct {
		err        error
		body, want string
	}{
		"a page":               {errNotJSON, "<html><h1>Please log in</h1> hunter2\n</html>", "it is not JSON: Please log in [REDACTED]"},
		"a long page":          {errNotJSON, strings.Repeat("x", 300), "it is not JSON: " + strings.Repeat("x", 200) + "…"},
		"a page of nothing":    {errNotJSON, "<html></html>", "it is not JSON"},
		"the start of a page":  {io.ErrUnexpectedEOF, "<html>Please", "unexpected EOF: Please"},
		"the start of JSON":    {io.ErrUnexpectedEOF, `{"linkToken":"t`, "unexpected EOF"},
		"JSON":                 {errNoEnvelope, `"text"`, errNoEnvelope.Error()},
		"a body not to show":   {errNotJSON, "", "it is not JSON"},
		"nothing to say of it": {nil, "<html>Please log in", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := WithExcerpt(tc.err, []byte(tc.body), r)
			require.ErrorIs(t, err, tc.err)
			if tc.err != nil {
				assert.EqualError(t, err, tc.want)
			}
		})
	}
}

func TestStringMember(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ data, want string }{
		"whole":                 {`{"status":"NEW","_id":"x"}`, "x"},
		"odd members around":    {`{"a":{"b":[1]},"_id":"x","c":1.5}`, "x"},
		"cut off behind it":     {`{"status":"NEW","_id":"x","migrationHosts":["vm0`, "x"},
		"cut off in it":         {`{"_id":"x`, ""},
		"cut off before it":     {`{"status":"NEW",`, ""},
		"cut off in a name":     {`{"status":"NEW","_i`, ""},
		"inside of something":   {`{"a":{"_id":"x"}}`, ""},
		"a number":              {`{"_id":7}`, ""},
		"a list":                {`["_id","x"]`, ""},
		"nothing":               {``, ""},
		"nothing but a bracket": {`{`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, StringMember([]byte(tc.data), "_id"))
		})
	}
}

func TestMember(t *testing.T) {
	t.Parallel()
	assert.JSONEq(t, `{"$oid":"x"}`, string(Member([]byte(`{"_id":{"$oid":"x"},"status":"N`), "_id")))
	assert.Nil(t, Member([]byte(`{"_id":{"$oid":"x"`), "_id"))
}

// selfReading is a result that reads its JSON itself, and strictly.
type selfReading struct {
	Inner struct {
		Count int `json:"count"`
	} `json:"inner"`
}

func (s *selfReading) UnmarshalJSON(data []byte) error {
	if string(data) == "0" {
		return errors.New("zero is none")
	}
	type plain selfReading
	return json.Unmarshal(data, (*plain)(s))
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var self selfReading
	require.NoError(t, Decode([]byte(`{"inner":{"count":3}}`), &self))
	assert.Equal(t, 3, self.Inner.Count)
	require.EqualError(t, Decode([]byte("0"), &self), "zero is none")
	require.EqualError(t, Decode([]byte(`{"inner":{"count":"3"}}`), &self), "unexpected string as inner.count")

	var other struct {
		Count int `json:"count"`
	}
	require.NoError(t, Decode([]byte(`{"count":"3"}`), &other))
	assert.Equal(t, 3, other.Count)
	require.EqualError(t, Decode([]byte(`"text"`), &other), "unexpected string")
	require.EqualError(t, Decode([]byte(`[1]`), &other), "unexpected array")
	require.EqualError(t, Decode([]byte(`{"count":`), &other), "unexpected end of JSON input")
	require.EqualError(t, Decode([]byte(" \n"), &other), "it is empty")
	require.EqualError(t, Decode([]byte("<html>"), &other), "it is not JSON")
	require.EqualError(t, Decode([]byte("<html>"), &self), "it is not JSON")
}
