package livemigration_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
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

const (
	anOrg        = "6560f2a49c1b7e03d5000001"
	aMigration   = "6560f2a49c1b7e03d5000002"
	aProject     = "e01c9427f054fe80745f3f6c"
	aWorkingBody = `{"_id":"6560f2a49c1b7e03d5000002","status":"WORKING"}`
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
	always := func(s string) cell { return cell{s, s} }
	passing, other := cell{unknown, retried}, cell{unknown, rejected}
	for status, want := range map[int]struct{ atlas, gateway cell }{
		300: {other, other}, 302: {other, other}, 304: {other, other},
		400: {always(rejected), always(rejected)}, 401: {always(rejected), always(rejected)}, 402: {always(rejected), always(rejected)},
		403: {always(rejected), always(rejected)}, 404: {always(rejected), always(rejected)}, 405: {always(rejected), always(rejected)},
		406: {always(rejected), always(rejected)}, 407: {always(rejected), always(rejected)}, 408: {passing, passing},
		409: {always(rejected), other}, 410: {always(rejected), always(rejected)}, 411: {always(rejected), always(rejected)},
		412: {always(rejected), other}, 413: {always(rejected), always(rejected)}, 414: {always(rejected), always(rejected)},
		415: {always(rejected), always(rejected)}, 416: {always(rejected), always(rejected)}, 417: {always(rejected), other},
		418: {always(rejected), other}, 421: {passing, passing}, 422: {always(rejected), always(rejected)},
		423: {always(rejected), other}, 424: {always(rejected), other}, 425: {passing, passing}, 426: {always(rejected), always(rejected)},
		428: {always(rejected), always(rejected)}, 429: {always(retried), always(retried)}, 431: {always(rejected), always(rejected)},
		451: {always(rejected), always(rejected)}, 460: {passing, passing}, 499: {passing, passing},
		500: {passing, passing}, 501: {passing, passing}, 502: {passing, passing}, 503: {passing, passing}, 504: {passing, passing},
		520: {passing, passing}, 599: {passing, passing},
	} {
		for from, cells := range map[string]cell{"Atlas": want.atlas, "a gateway": want.gateway} {
			t.Run(fmt.Sprintf("%d from %s", status, from), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					requests := 0
					client := answering(t, func(w http.ResponseWriter, r *http.Request) {
						requests++
						switch {
						case requests > 1:
							_, _ = io.WriteString(w, aWorkingBody)
						case from == "Atlas":
							atlasError(w, status, "SOME_CODE")
						default:
							w.WriteHeader(status)
							_, _ = io.WriteString(w, "<h1>text</h1>")
						}
					})
					_, err := client.Migrations.Create(t.Context(), aProject, safeRequest())
					assert.Equal(t, cells.create, outcomeOf(err, requests), "create: %v", err)
					requests = 0
					err = client.Migrations.Cutover(t.Context(), aProject, aMigration)
					assert.Equal(t, cells.cutover, outcomeOf(err, requests), "cutover: %v", err)
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
	}{
		"503 with Retry-After":              {func(w http.ResponseWriter) { atlasError(w, 503, "X", "Retry-After", "1.5") }, true},
		"503 of another status":             {func(w http.ResponseWriter) { http.Error(w, `{"error":500,"errorCode":"X"}`, 503) }, false},
		"503 without Retry-After":           {func(w http.ResponseWriter) { atlasError(w, 503, "X") }, false},
		"405 while Atlas is being upgraded": {func(w http.ResponseWriter) { atlasError(w, 405, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES") }, true},
		"405 with another code":             {func(w http.ResponseWriter) { atlasError(w, 405, "X") }, false},
		"429 of a gateway, RateLimit-Limit 0": {func(w http.ResponseWriter) {
			w.Header().Set("RateLimit-Limit", "0")
			w.Header().Set("RateLimit-Remaining", "0")
			http.Error(w, "<p>slow down</p>", 429)
		}, true},
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
					_, _ = io.WriteString(w, aWorkingBody)
				})
				_, err := client.Migrations.Create(t.Context(), aProject, safeRequest())
				if tc.retried {
					require.NoError(t, err)
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

func TestARetryAfterAboveTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, failing := time.Now(), true
		client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			if failing {
				atlasError(w, 503, "X", "Retry-After", "86400")
				return
			}
			_, _ = io.WriteString(w, strings.Replace(aWorkingBody, "WORKING", "COMPLETE", 1))
		})
		_, err := client.Migrations.Get(t.Context(), aProject, aMigration)
		require.ErrorContains(t, err, "Atlas asked to wait 24h, longer than this client's limit of 5m (RetryPolicy.MaxRetryAfter)")
		assert.Less(t, time.Since(start), time.Second)

		time.AfterFunc(7*time.Minute, func() { failing = false })
		_, err = client.Migrations.WaitComplete(t.Context(), aProject, aMigration)
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
	_, err := client.Migrations.WaitComplete(t.Context(), aProject, aMigration)
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
				_, _ = io.WriteString(w, aWorkingBody)
			case 2, 3, 4, 5:
				atlasError(w, 401, "UNEXPECTED_ERROR")
			default:
				_, _ = io.WriteString(w, strings.Replace(aWorkingBody, "WORKING", "COMPLETE", 1))
			}
		})
		_, err := client.Migrations.WaitComplete(t.Context(), aProject, aMigration)
		require.NoError(t, err)
		requests = 1
		_, err = client.Migrations.WaitComplete(t.Context(), aProject, aMigration)
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
		_, err = client.Migrations.Get(t.Context(), aProject, aMigration)
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
			_, _ = io.WriteString(w, aWorkingBody)
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
			_, err = client.Migrations.Get(t.Context(), aProject, aMigration)
			require.NoError(t, err, name)
			_, err = client.Migrations.Create(t.Context(), aProject, safeRequest())
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
			_, err = client.Migrations.WaitComplete(t.Context(), aProject, aMigration, livemigration.WithMaxOutage(time.Second))
			require.ErrorContains(t, err, tc.want)
			assert.Equal(t, tc.again, livemigration.Retryable(err))
			if !tc.again {
				assert.Less(t, time.Since(start), time.Second, "the outage is not used up")
			}
			_, err = client.Migrations.Create(t.Context(), aProject, safeRequest())
			require.ErrorContains(t, err, tc.want)
			assert.False(t, livemigration.MayHaveCreated(err))
		})
	}
}

func TestListsAreLongAndErrorsShort(t *testing.T) { // not parallel: it counts the memory of the process
	var list []livemigration.AvailableProject
	for i := range 12_000 {
		list = append(list, livemigration.AvailableProject{
			Name: fmt.Sprintf("project %d %s", i, strings.Repeat("x", 100)), ProjectID: aProject, MigrationHosts: []string{"vm001.example.com"},
			Deployments: []livemigration.Deployment{{ClusterID: aMigration, Name: "cluster", MongoDBVersion: "7.0.14"}},
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
}
