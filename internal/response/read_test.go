package response

import (
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

// responseOf makes a response. With an err, its body breaks off.
func responseOf(status int, body string, err error) *http.Response {
	reader := io.Reader(strings.NewReader(body))
	if err != nil {
		reader = io.MultiReader(reader, iotest.ErrReader(err))
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(reader), ContentLength: -1}
}

const (
	job      = `{"_id":"5f1b","status":"WORKING"}`
	notReady = `{"error":409,"errorCode":"NOT_READY","detail":"not yet"}`
)

func TestEnvelopes(t *testing.T) {
	t.Parallel()
	cut := io.ErrUnexpectedEOF
	for _, tc := range []struct {
		name       string
		status     int
		body       string
		broken     error
		wantStatus int
		wantBody   string
		wantErr    error
	}{
		{"success", 200, `{"status":200,"content":` + job + `}`, nil, 200, job, nil},
		{"byte order mark", 200, byteOrderMark + `{"status":201,"content":` + job + `}`, nil, 201, job, nil},
		{"no content", 200, `{"status":204,"content":null}`, nil, 204, "null", nil},
		{"content left out", 200, `{"status":503}`, nil, 503, "", nil},
		{"failure inside a success", 200, `{"status":404,"content":{"error":404}}`, nil, 404, `{"error":404}`, nil},
		{"success inside a failure", 502, `{"status":200,"content":` + job + `}`, nil, 200, job, nil},
		{"status in digits", 200, `{"status":"201","content":` + job + `}`, nil, 201, job, nil},
		{"status with a point", 200, `{"status":201.0,"content":` + job + `}`, nil, 201, job, nil},
		{"error inside the content", 200, `{"status":200,"content":` + notReady + `}`, nil, 409, notReady, nil},
		{"error in place of the envelope", 200, notReady, nil, 409, notReady, nil},
		{"gateway's page", 502, `<h1>Bad Gateway</h1>`, nil, 502, `<h1>Bad Gateway</h1>`, nil},
		{"gateway's JSON", 502, `{"content":"down"}`, nil, 502, `{"content":"down"}`, nil},
		{"gateway's page, cut off", 502, `<h1>Bad`, cut, 502, `<h1>Bad`, nil},
		{"empty with 204", 204, "", nil, 204, "", nil},

		{"job without an envelope", 200, job, nil, 200, job, errNoEnvelope},
		{"list without an envelope", 200, `[]`, nil, 200, `[]`, errNoEnvelope},
		{"empty", 202, "", nil, 202, "", errNoEnvelope},
		{"page", 200, `<html>`, nil, 200, `<html>`, errNoEnvelope},
		{"no status", 200, `{"content":` + job + `}`, nil, 200, job, errNoEnvelope},
		{"status null", 200, `{"status":null,"content":` + job + `}`, nil, 200, job, errNoEnvelope},
		{"status with a fraction", 200, `{"status":200.5,"content":` + job + `}`, nil, 200, job, errNoEnvelope},
		{"status in words", 200, `{"status":"OK","content":` + job + `}`, nil, 200, job, errNoEnvelope},
		{"status with a sign", 200, `{"status":"+200","content":` + job + `}`, nil, 200, job, errNoEnvelope},
		{"status of no digits", 200, `{"status":"","content":` + job + `}`, nil, 200, job, errNoEnvelope},
		{"status too small", 200, `{"status":99,"content":` + job + `}`, nil, 200, job, errNoEnvelope},
		{"status too large", 200, `{"status":600,"content":` + job + `}`, nil, 200, job, errNoEnvelope},
		{"status far too large", 200, `{"status":1e300,"content":` + job + `}`, nil, 200, job, errNoEnvelope},
		{"status true", 200, `{"status":true,"content":` + job + `}`, nil, 200, job, errNoEnvelope},

		{"cut off in the content", 200, `{"status":201, "content" : {"_id":"5f1b","sta`, cut, 200, `{"_id":"5f1b","sta`, cut},
		{"cut off before the content", 200, `{"status":201,"con`, cut, 200, `{"status":201,"con`, cut},
		{"cut off in a value", 200, `{"a":{"b":1},"status":20`, cut, 200, `{"a":{"b":1},"status":20`, cut},
		{"cut off at a value that is none", 200, `{"status":x`, cut, 200, `{"status":x`, cut},
		{"object that ends wrongly", 200, `{"a":1]`, nil, 200, `{"a":1]`, errNoEnvelope},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			status, body, err := Read(responseOf(tc.status, tc.body, tc.broken), true)
			assert.Equal(t, tc.wantStatus, status)
			assert.Equal(t, tc.wantBody, string(body))
			assert.ErrorIs(t, err, tc.wantErr)
		})
	}
}

func TestBodiesWithoutAnEnvelope(t *testing.T) {
	t.Parallel()
	cut := io.ErrUnexpectedEOF
	for _, tc := range []struct {
		name       string
		status     int
		body       string
		broken     error
		wantStatus int
		wantErr    error
	}{
		{"job", 200, job, nil, 200, nil},
		{"nothing", 202, "", nil, 202, nil},
		{"envelope that nobody asked for", 200, `{"status":404,"content":null}`, nil, 200, nil},
		{"failure", 404, notReady, nil, 404, nil},
		{"failure, cut off", 404, notReady[:20], cut, 404, nil},
		{"success, cut off", 200, job[:20], cut, 200, cut},

		{"error inside", 200, notReady, nil, 409, nil},
		{"error inside, indented", 202, "{\n  \"error\" : 503,\n  \"reason\" : \"Service Unavailable\"\n}", nil, 503, nil},
		{"error inside, status in digits", 200, `{"error":"404","errorCode":"X"}`, nil, 404, nil},
		{"error inside, no code", 200, `{"error":400,"detail":"why"}`, nil, 400, nil},
		{"error inside a 204", 204, notReady, nil, 409, nil},

		{"job that tells an error", 200, `{"_id":"5f1b","status":"FAILED","error":500,"errorCode":"X","reason":"r"}`, nil, 200, nil},
		{"job without a status that tells an error", 200, `{"_id":"5f1b","error":500,"errorCode":"X"}`, nil, 200, nil},
		{"job with errorMessage", 200, `{"_id":"5f1b","status":"FAILED","errorMessage":"\"error\":409"}`, nil, 200, nil},
		{"link-token that tells an error", 200, `{"linkToken":"t","error":500,"errorCode":"X"}`, nil, 200, nil},
		{"connection that tells an error", 200, `{"status":"NOT_SYNCED","error":500}`, nil, 200, nil},
		{"error that tells a status", 200, `{"error":409,"errorCode":"NOT_READY","status":"x"}`, nil, 409, nil},
		{"projects that tell errors", 200, `[{"name":"p","error":500,"errorCode":"X"}]`, nil, 200, nil},
		{"error below 400", 200, `{"error":200,"errorCode":"X"}`, nil, 200, nil},
		{"error zero", 200, `{"error":0,"errorCode":"X"}`, nil, 200, nil},
		{"error in words", 200, `{"error":"Conflict","errorCode":"X"}`, nil, 200, nil},
		{"error null", 200, `{"error":null}`, nil, 200, nil},
		{"error in a member", 200, `{"a":{"error":409}}`, nil, 200, nil},
		{"error in a page", 200, `<p>"error":409</p>`, nil, 200, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			status, body, err := Read(responseOf(tc.status, tc.body, tc.broken), false)
			assert.Equal(t, tc.wantStatus, status)
			assert.Equal(t, tc.body, string(body))
			assert.ErrorIs(t, err, tc.wantErr)
		})
	}
}

// A creation whose envelope is broken still shows the id of the job.
func TestAnIDIsFoundInABrokenEnvelope(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no envelope":       `{"_id":"5f1b"}`,
		"odd status":        `{"status":"x","content":{"_id":"5f1b"}}`,
		"cut off":           `{"status":201,"content":{"_id":"5f1b","sta`,
		"cut off at an end": `{"content":{"_id":"5f1b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, content, err := Read(responseOf(201, body, io.ErrUnexpectedEOF), true)
			require.Error(t, err)
			assert.Equal(t, "5f1b", StringMember(content, "_id"))
		})
	}
}
