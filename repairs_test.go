package livemigration_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

func TestARetryAfterAboveTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var repaired atomic.Bool
		client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			if !repaired.Load() {
				atlasError(w, 503, "X", "Retry-After", "86400")
				return
			}
			_, _ = io.WriteString(w, strings.Replace(workingBody, "WORKING", "COMPLETE", 1))
		})
		_, err := client.Migrations.Get(t.Context(), projectID, jobID)
		require.ErrorContains(t, err, "Atlas asked to wait 24h, longer than this client's limit of 5m (RetryPolicy.MaxRetryAfter)")
		assert.Less(t, time.Since(start), time.Second)

		soon, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var late *livemigration.PacingError
		_, err = client.Migrations.Get(soon, projectID, jobID)
		require.ErrorAs(t, err, &late)
		assert.InDelta(t, 5*time.Minute, late.Wait, float64(time.Second))

		time.AfterFunc(7*time.Minute, func() { repaired.Store(true) })
		_, err = client.Migrations.WaitComplete(t.Context(), projectID, jobID)
		require.NoError(t, err)
		assert.Less(t, time.Since(start), 16*time.Minute, "the scope is held for no longer than MaxRetryAfter")
	})
}

func TestARedirectEndsAWait(t *testing.T) {
	t.Parallel()
	requests := 0
	client := answering(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		http.Redirect(w, r, "https://maintenance.example.com/page", http.StatusTemporaryRedirect)
	})
	_, err := client.Migrations.WaitComplete(t.Context(), projectID, jobID)
	require.ErrorContains(t, err, "redirect to maintenance.example.com")
	assert.Equal(t, 1, requests)
	assert.False(t, livemigration.Retryable(err))
}

func TestA401InAWaitIsAnOutageOnceAPollSucceeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			switch requests++; requests {
			case 1:
				_, _ = io.WriteString(w, workingBody)
			case 2, 3, 4, 5:
				atlasError(w, 401, "UNEXPECTED_ERROR")
			default:
				_, _ = io.WriteString(w, strings.Replace(workingBody, "WORKING", "COMPLETE", 1))
			}
		})
		_, err := client.Migrations.WaitComplete(t.Context(), projectID, jobID)
		require.NoError(t, err)
		requests = 1
		_, err = client.Migrations.WaitComplete(t.Context(), projectID, jobID)
		require.ErrorIs(t, err, livemigration.ErrUnauthorized)
		require.ErrorContains(t, err, "role")
	})
}

func TestCookiesOfAJarAreSentOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent [][]*http.Cookie
		transport := roundTripper(func(req *http.Request) (*http.Response, error) {
			sent = append(sent, req.Cookies())
			rec := httptest.NewRecorder()
			http.SetCookie(rec, &http.Cookie{Name: "node", Value: "2", Path: "/"})
			rec.WriteHeader(http.StatusBadGateway)
			return rec.Result(), nil
		})
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		u, _ := url.Parse("https://cloud.mongodb.com")
		jar.SetCookies(u, []*http.Cookie{{Name: "node", Value: "1", Path: "/"}})
		client, err := livemigration.NewClient(staticToken, livemigration.WithHTTPClient(&http.Client{Transport: transport, Jar: jar}))
		require.NoError(t, err)
		_, err = client.Migrations.Get(t.Context(), projectID, jobID)
		require.Error(t, err)
		require.Len(t, sent, 5)
		for i, cookies := range sent {
			require.Len(t, cookies, 1, "attempt %d", i+1)
			assert.Equal(t, i > 0, cookies[0].Value == "2", "attempt %d", i+1)
		}
	})
}

// A load balancer binds the nonce to a cookie of the challenge.
func TestACookieOfAChallengeGoesWithItsNonce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		node, err := r.Cookie("node")
		authorization := r.Header.Get("Authorization")
		if err == nil && authorization != "" && strings.Contains(authorization, `nonce="of-node-`+node.Value+`"`) {
			_, _ = io.WriteString(w, workingBody)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "node", Value: fmt.Sprint(n)})
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Digest realm="r", nonce="of-node-%d", qop="auth"`, n))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(srv.Close)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	for name, jar := range map[string]http.CookieJar{"with a jar": jar, "without": nil} {
		client, err := livemigration.NewClient(livemigration.APIKey("public", "private-key"), quick, livemigration.WithBaseURL(srv.URL),
			livemigration.WithHTTPClient(&http.Client{Transport: new(http.Transport), Jar: jar}))
		require.NoError(t, err)
		for range 3 {
			_, err = client.Migrations.Get(t.Context(), projectID, jobID)
			require.NoError(t, err, name)
			_, err = client.Migrations.Create(t.Context(), projectID, request())
			require.NoError(t, err, name)
		}
	}
}

// Nothing with a body is sent without credentials.
func TestAProbeThatIsNotChallenged(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		retried bool
		text    string
	}{
		200: {false, "instead of asking for them"}, 400: {false, "400"}, 403: {false, "403"}, 404: {false, "404"}, 405: {false, "405"},
		408: {true, "408"}, 429: {true, "429"}, 500: {true, "500"}, 503: {true, "503"},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			var probes, bodies atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if len(body) > 0 {
					bodies.Add(1)
				}
				probes.Add(1)
				w.WriteHeader(status)
			}))
			t.Cleanup(srv.Close)
			for what, create := range creations(t, livemigration.APIKey("public", "private-key"), srv.URL, new(http.Transport)) {
				before := probes.Load()
				err := create(t.Context())
				require.ErrorContains(t, err, want.text, what)
				assert.False(t, livemigration.MayHaveCreated(err), what)
				assert.Equal(t, want.retried, livemigration.Retryable(err), "%s: %v", what, err)
				assert.Equal(t, want.retried, probes.Load()-before > 1, what)
			}
			assert.Zero(t, bodies.Load())
		})
	}
}

func TestServersThatAreNotWhatTheURLSays(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(proxy.Close)
	proxyURL, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		url       string
		transport *http.Transport
		want      string
		again     bool
	}{
		"plain HTTP behind https": {strings.Replace(plain.URL, "http://", "https://", 1), new(http.Transport), "speaks plain HTTP on this port", false},
		"an unknown authority":    {secure.URL, &http.Transport{TLSClientConfig: &tls.Config{}}, strings.TrimPrefix(secure.URL, "https://"), false},
		"a proxy's 403": {"https://localhost:1", &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return proxyURL, nil }},
			"through the proxy " + proxyURL.Host, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := livemigration.NewClient(staticToken, quick, livemigration.WithBaseURL(tc.url),
				livemigration.WithHTTPClient(&http.Client{Transport: tc.transport}))
			require.NoError(t, err)
			start := time.Now()
			_, err = client.Migrations.WaitComplete(t.Context(), projectID, jobID, livemigration.WithMaxOutage(time.Second))
			require.ErrorContains(t, err, tc.want)
			assert.Equal(t, tc.again, livemigration.Retryable(err))
			if !tc.again {
				assert.Less(t, time.Since(start), time.Second, "the outage is not used up")
			}
			_, err = client.Migrations.Create(t.Context(), projectID, request())
			require.ErrorContains(t, err, tc.want)
			assert.False(t, livemigration.MayHaveCreated(err))
		})
	}
}

func TestListsAreLongAndErrorsShort(t *testing.T) { // not parallel: it counts the memory of the process
	var list []livemigration.AvailableProject
	for i := range 12_000 {
		list = append(list, livemigration.AvailableProject{
			Name: fmt.Sprintf("project %d %s", i, strings.Repeat("x", 100)), ProjectID: projectID, MigrationHosts: []string{"vm001.example.com"},
			Deployments: []livemigration.Deployment{{ClusterID: jobID, Name: "cluster", MongoDBVersion: "7.0.14"}},
		})
	}
	body, err := json.Marshal(list)
	require.NoError(t, err)
	require.Greater(t, len(body), 4<<20)
	content := body
	client := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
	got, err := client.AvailableProjects.List(t.Context(), anOrg)
	require.NoError(t, err)
	assert.Equal(t, list, got)

	content = []byte("[{}" + strings.Repeat(",{}", 1<<20) + "]")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = client.AvailableProjects.List(t.Context(), anOrg, livemigration.WithMaxAttempts(1))
	runtime.ReadMemStats(&after)
	require.Error(t, err)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<20))

	content = append([]byte(`{"a":"`), make([]byte, 5<<20)...)
	require.NoError(t, client.Migrations.Cutover(t.Context(), projectID, jobID), "a success without a result may be of any size")
}
