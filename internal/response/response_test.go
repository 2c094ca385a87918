package response

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// spaces is a body of so many bytes that are never held at once.
type spaces struct{ left, read int64 }

func (s *spaces) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), s.left)
	for i := range p[:n] {
		p[i] = ' '
	}
	s.left, s.read = s.left-n, s.read+n
	return int(n), nil
}

func TestReadBody(t *testing.T) {
	t.Parallel()
	t.Run("whole", func(t *testing.T) {
		t.Parallel()
		for _, length := range []int64{-1, 4} {
			body, err := ReadBody(&http.Response{Body: io.NopCloser(strings.NewReader("text")), ContentLength: length})
			require.NoError(t, err)
			assert.Equal(t, "text", string(body))
		}
	})
	t.Run("byte order mark", func(t *testing.T) {
		t.Parallel()
		for sent, want := range map[string]string{
			"\xef\xbb\xbf" + `{"a":1}`: `{"a":1}`,
			"\xef\xbb\xbf":             "",
			"\xef\xbb" + `{"a":1}`:     "\xef\xbb" + `{"a":1}`,
			`{"a":"` + "\ufeff" + `"}`: `{"a":"` + "\ufeff" + `"}`,
		} {
			body, err := ReadBody(&http.Response{Body: io.NopCloser(strings.NewReader(sent))})
			require.NoError(t, err)
			assert.Equal(t, want, string(body))
		}
	})
	t.Run("cut off", func(t *testing.T) {
		t.Parallel()
		body, err := ReadBody(&http.Response{Body: io.NopCloser(io.MultiReader(strings.NewReader("te"), iotest.ErrReader(io.ErrUnexpectedEOF)))})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Equal(t, "te", string(body))
	})
	for _, size := range []int64{MaxBody, 200 << 20} {
		t.Run("within bounds", func(t *testing.T) {
			t.Parallel()
			sent := &spaces{left: size}
			_, err := ReadBody(&http.Response{Body: io.NopCloser(sent), ContentLength: size})
			assert.LessOrEqual(t, sent.read, int64(MaxBody+1))
			if size > MaxBody {
				require.ErrorIs(t, err, ErrTooLarge)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func TestEnvelopes(t *testing.T) {
	t.Parallel()
	const content = `{"_id":"x"}`
	for _, tc := range []struct {
		name       string
		status     int
		body       string
		wantStatus int
		wantBody   string
	}{
		{"success", 200, `{"status":200,"content":` + content + `}`, 200, content},
		{"failure inside a success", 200, `{"status":404,"content":` + content + `}`, 404, content},
		{"without content", 200, `{"status":503}`, 503, ""},
		{"success inside a failure", 502, `{"status":200,"content":` + content + `}`, 200, content},
		{"a gateway's page", 502, `<h1>Bad Gateway</h1>`, 502, `<h1>Bad Gateway</h1>`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			status, body := Unwrap(tc.status, []byte(tc.body))
			assert.Equal(t, tc.wantStatus, status)
			assert.Equal(t, tc.wantBody, string(body))
		})
	}
}

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
