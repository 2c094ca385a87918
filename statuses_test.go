package livemigration_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

const (
	anOrg       = "6560f2a49c1b7e03d5000001"
	workingBody = `{"_id":"` + jobID + `","status":"WORKING"}`
)

// answering returns a client of a handler; it answers requests without a network; it is not net/http's own transport.
func answering(t *testing.T, handler http.HandlerFunc, opts ...livemigration.Option) *livemigration.Client {
	t.Helper()
	transport := roundTripper(func(req *http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		if req.Body == nil {
			req.Body = http.NoBody
		}
		handler(rec, req)
		resp := rec.Result()
		resp.Request = req
		return resp, nil
	})
	client, err := livemigration.NewClient(staticToken, append([]livemigration.Option{
		livemigration.WithHTTPClient(&http.Client{Transport: transport}),
	}, opts...)...)
	require.NoError(t, err)
	return client
}

func atlasError(w http.ResponseWriter, status int, code string, header ...string) {
	w.Header().Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":%d,"errorCode":%q,"detail":"text"}`, status, code)
}

// The table of responses: what a call makes of each status, in Atlas's own JSON and as a gateway sends it.
func TestResponsesToACreateRequestAndToACutover(t *testing.T) {
	t.Parallel()
	const (
		retried  = "retried"
		rejected = "rejected"
		unknown  = "unknown" // of a create request; other calls get the APIError
	)
	type cell struct{ create, cutover string }
	var (
		never   = cell{rejected, rejected}
		passing = cell{unknown, retried}
		other   = cell{unknown, rejected} // of a gateway; Atlas's own 4xx says that nothing was created
	)
	cells := map[int]cell{429: {retried, retried}}
	for want, statuses := range map[cell][]int{
		never:   {400, 401, 402, 403, 404, 405, 406, 407, 410, 411, 413, 414, 415, 416, 422, 426, 428, 431, 451},
		passing: {408, 421, 425, 460, 499, 500, 501, 502, 503, 504, 520, 599},
		other:   {300, 302, 304, 409, 412, 417, 418, 423, 424},
	} {
		for _, status := range statuses {
			cells[status] = want
		}
	}
	for status, gateway := range cells {
		atlas := gateway
		if gateway == other && status/100 == 4 {
			atlas = never
		}
		for from, want := range map[string]cell{"Atlas": atlas, "a gateway": gateway} {
			t.Run(fmt.Sprintf("%d from %s", status, from), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					requests := 0
					client := answering(t, func(w http.ResponseWriter, r *http.Request) {
						requests++
						switch {
						case requests > 1:
							_, _ = io.WriteString(w, workingBody)
						case from == "Atlas":
							atlasError(w, status, "SOME_CODE")
						default:
							w.WriteHeader(status)
							_, _ = io.WriteString(w, "<h1>text</h1>")
						}
					})
					_, err := client.Migrations.Create(t.Context(), projectID, request())
					assert.Equal(t, want.create, outcomeOf(err, requests), "create: %v", err)
					requests = 0
					err = client.Migrations.Cutover(t.Context(), projectID, jobID)
					assert.Equal(t, want.cutover, outcomeOf(err, requests), "cutover: %v", err)
				})
			})
		}
	}
}

func outcomeOf(err error, requests int) string {
	var api *livemigration.APIError
	switch {
	case err == nil && requests == 2:
		return "retried"
	case requests != 1:
		return fmt.Sprintf("%d requests", requests)
	case livemigration.MayHaveCreated(err):
		return "unknown"
	case errors.As(err, &api):
		return "rejected"
	default:
		return fmt.Sprint(err)
	}
}

func TestWhatAtlasSaysOfItselfIsRetried(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		respond func(http.ResponseWriter)
		retried bool
		after   time.Duration
	}{
		"503 with Retry-After": {func(w http.ResponseWriter) { atlasError(w, 503, "X", "Retry-After", "1.5") }, true, 3 * time.Second / 2},
		"503 of another status": {func(w http.ResponseWriter) {
			http.Error(w, `{"error":500,"errorCode":"X"}`, http.StatusServiceUnavailable)
		}, false, 0},
		"503 without Retry-After":           {func(w http.ResponseWriter) { atlasError(w, 503, "X") }, false, 0},
		"405 while Atlas is being upgraded": {func(w http.ResponseWriter) { atlasError(w, 405, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES") }, true, 0},
		"405 with another code":             {func(w http.ResponseWriter) { atlasError(w, 405, "X") }, false, 0},
		"429 of a gateway, RateLimit-Limit 0": {func(w http.ResponseWriter) {
			w.Header().Set("RateLimit-Limit", "0")
			w.Header().Set("RateLimit-Remaining", "0")
			http.Error(w, "<p>slow down</p>", http.StatusTooManyRequests)
		}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				requests := 0
				client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
					if requests++; requests == 1 {
						tc.respond(w)
						return
					}
					_, _ = io.WriteString(w, workingBody)
				}, livemigration.WithoutPacing())
				start := time.Now()
				_, err := client.Migrations.Create(t.Context(), projectID, request())
				if tc.retried {
					require.NoError(t, err)
					assert.GreaterOrEqual(t, time.Since(start), tc.after)
					assert.Equal(t, 2, requests)
					return
				}
				require.Error(t, err)
				assert.Equal(t, 1, requests)
			})
		})
	}
}

func TestADeleteIsDoneOnlyByAtlassOwnWord(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		respond func(http.ResponseWriter)
		done    bool
	}{
		"Atlas":     {func(w http.ResponseWriter) { atlasError(w, 404, "UNEXPECTED_ERROR") }, true},
		"a gateway": {func(w http.ResponseWriter) { http.Error(w, "<h1>Not Found</h1>", 404) }, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				if requests++; requests == 1 {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				tc.respond(w)
			})
			err := client.LinkTokens.Delete(t.Context(), anOrg)
			assert.Equal(t, tc.done, err == nil, "%s: %v", name, err)
		})
	}
}
