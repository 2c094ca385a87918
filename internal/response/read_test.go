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

const (
	limit    = 1 << 20
	job      = `{"_id":"5f1b","status":"WORKING"}`
	notReady = `{"error":409,"errorCode":"NOT_READY","detail":"not yet"}`
)

// responseOf makes a response. With an err, its body breaks off.
func responseOf(status int, body string, err error) *http.Response {
	reader := io.Reader(strings.NewReader(body))
	if err != nil {
		reader = io.MultiReader(reader, iotest.ErrReader(err))
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(reader), ContentLength: -1}
}

// endless is a body that counts what is read, and whether it is closed.
type endless struct {
	read   int64
	closed bool
}

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.read += int64(len(p))
	return len(p), nil
}

func (e *endless) Close() error {
	e.closed = true
	return nil
}

func TestBodiesAreReadWithinBounds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		want   int64
		err    error
	}{
		"success":             {200, limit, ErrTooLarge},
		"failure":             {500, maxError, nil},
		"redirect":            {307, maxError, nil},
		"switch of protocols": {101, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := &endless{}
			r := Read(&http.Response{StatusCode: tc.status, Body: body, ContentLength: 1 << 40}, limit, true)
			assert.Equal(t, tc.status, r.Status)
			assert.Len(t, r.Body, int(tc.want))
			assert.LessOrEqual(t, body.read, tc.want+1)
			require.ErrorIs(t, r.Err, tc.err)
			assert.True(t, body.closed)
			assert.False(t, r.Truncated)
		})
	}
	r := Read(&http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("12345")), ContentLength: 5}, 5, false)
	assert.Equal(t, Received{Status: 200, Body: []byte("12345")}, *r, "as long as the limit")
	r = Read(&http.Response{StatusCode: 202}, limit, false)
	assert.Equal(t, 202, r.Status, "the transport of a user may leave out the body")
	assert.Empty(t, r.Body)
}

func TestEnvelopes(t *testing.T) {
	t.Parallel()
	cut := io.ErrUnexpectedEOF
	const whole = "the body as it is"
	for _, tc := range []struct {
		name       string
		status     int
		body       string
		broken     error
		wantStatus int
		wantBody   string
		wantErr    error
	}{
		{"success", 200, `{"status":201,"content":` + job + `}`, nil, 201, job, nil},
		{"no content", 200, `{"status":204,"content":null}`, nil, 204, "null", nil},
		{"content left out", 200, `{"status":503}`, nil, 503, "", nil},
		{"failure inside a success", 200, `{"status":404,"content":{"error":404}}`, nil, 404, `{"error":404}`, nil},
		{"success inside a failure", 502, `{"status":200,"content":` + job + `}`, nil, 200, job, nil},
		{"status in digits", 200, `{"status":"201","content":` + job + `}`, nil, 201, job, nil},
		{"error inside the content", 200, `{"status":200,"content":` + notReady + `}`, nil, 409, notReady, nil},
		{"error in place of the envelope", 200, notReady, nil, 409, notReady, nil},
		{"gateway's page", 502, `<h1>Bad`, cut, 502, `<h1>Bad`, nil},
		{"gateway's JSON", 502, `{"content":"down"}`, nil, 502, `{"content":"down"}`, nil},
		{"empty with 204", 204, "", nil, 204, "", nil},

		{"job without an envelope", 200, job, nil, 200, job, errNoEnvelope},
		{"list without an envelope", 200, `[]`, nil, 200, `[]`, errNoEnvelope},
		{"empty", 202, "", nil, 202, "", errNoEnvelope},
		{"no status", 200, `{"content":` + job + `}`, nil, 200, whole, errNoEnvelope},
		{"status that is none", 200, `{"status":"OK","content":` + job + `}`, nil, 200, whole, errNoEnvelope},
		{"status too small", 200, `{"status":99,"content":` + job + `}`, nil, 200, whole, errNoEnvelope},
		{"status too large", 200, `{"status":600,"content":` + job + `}`, nil, 200, whole, errNoEnvelope},
		{"cut off in the content", 200, `{"status":201, "content" : {"_id":"5f1b","sta`, cut, 200, whole, cut},
		{"cut off before the content", 200, `{"status":201,"con`, cut, 200, `{"status":201,"con`, cut},
		{"cut off in a value", 200, `{"a":{"b":1},"status":x`, cut, 200, `{"a":{"b":1},"status":x`, cut},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := Read(responseOf(tc.status, tc.body, tc.broken), limit, true)
			if tc.wantBody == whole {
				tc.wantBody = tc.body
			}
			assert.Equal(t, tc.wantStatus, r.Status)
			assert.Equal(t, tc.wantBody, string(r.Body))
			require.ErrorIs(t, r.Err, tc.wantErr)
			assert.Equal(t, tc.broken != nil, r.Truncated)
		})
	}
}

func TestAnErrorInsideASuccess(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, body string
		want       int
	}{
		{"job", job, 200},
		{"nothing", "", 200},
		{"an envelope that was not asked for", `{"status":404,"content":null}`, 200},

		{"error", notReady, 409},
		{"error, indented", "{\n  \"error\" : 503,\n  \"reason\" : \"Service Unavailable\"\n}", 503},
		{"error with its status in digits", `{"error":"404","errorCode":"X"}`, 404},
		{"error with a member status", `{"error":409,"errorCode":"NOT_READY","status":"x"}`, 409},

		{"job that has an error", `{"_id":"5f1b","error":500,"errorCode":"X","reason":"r"}`, 200},
		{"job with that text", `{"_id":"5f1b","status":"FAILED","errorMessage":"\"error\":409"}`, 200},
		{"link-token that has an error", `{"linkToken":"t","error":500,"errorCode":"X"}`, 200},
		{"connection that has an error", `{"status":"NOT_SYNCED","error":500,"errorCode":""}`, 200},
		{"projects that have errors", `[{"name":"p","error":500,"errorCode":"X"}]`, 200},
		{"error below 400", `{"error":302,"errorCode":"X"}`, 200},
		{"error in words", `{"error":"Conflict","errorCode":"X"}`, 200},
		{"error in a member", `{"a":{"error":409}}`, 200},
		{"error in a page", `<p>"error":409</p>`, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := Read(responseOf(200, tc.body, nil), limit, false)
			assert.Equal(t, tc.want, r.Status)
			assert.Equal(t, tc.body, string(r.Body))
			assert.NoError(t, r.Err)
		})
	}
}
