package response

import (
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
		{"a page", "<html>please log in</html>", nil, true, "it is not JSON"},
		{"the start of JSON", `{"_id":"5f`, cut, false, ""},
		{"the start of a list", `[{`, cut, false, ""},
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

// number is a result that reads its JSON itself.
type number struct{ value string }

func (n *number) UnmarshalJSON(data []byte) error {
	if string(data) == "0" {
		return errors.New("zero is none")
	}
	n.value = string(data)
	return nil
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var n number
	require.NoError(t, Decode([]byte("7"), &n))
	assert.Equal(t, "7", n.value)
	require.EqualError(t, Decode([]byte("0"), &n), "zero is none")

	var result struct {
		Inner struct {
			Count int `json:"count"`
		} `json:"inner"`
	}
	require.NoError(t, Decode([]byte(`{"inner":{"count":3}}`), &result))
	assert.Equal(t, 3, result.Inner.Count)
	require.EqualError(t, Decode([]byte(`{"inner":{"count":"3"}}`), &result), "unexpected string as inner.count")
	require.EqualError(t, Decode([]byte(`"text"`), &result), "unexpected string")
	require.EqualError(t, Decode([]byte(``), &result), "unexpected end of JSON input")
}
