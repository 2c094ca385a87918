package livemigration_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// hostile is an Atlas behind somebody who changes its responses, and writes down what is sent.
type hostile struct {
	*livemigrationtest.Server
	url    string
	mu     sync.Mutex
	seen   []string // the Authorization headers that arrived
	bodies int
}

func newHostile(t *testing.T, change func(http.ResponseWriter, *http.Request) (responded bool)) *hostile {
	t.Helper()
	h := &hostile{Server: livemigrationtest.NewServer()}
	t.Cleanup(h.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.seen = append(h.seen, r.Header.Get("Authorization"))
		if r.ContentLength != 0 {
			h.bodies++
		}
		h.mu.Unlock()
		if !change(w, r) {
			h.Handler().ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// create calls the hostile server with keys and a password, and checks that neither reached it in the clear.
func (h *hostile) create(t *testing.T, opts ...livemigration.Option) error {
	t.Helper()
	client := newClient(t, h.Credentials(), append(opts, quick, livemigration.WithBaseURL(h.url))...)
	_, err := client.Migrations.Create(t.Context(), h.ProjectID(), h.SampleRequest())
	_, private := h.APIKey()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, header := range h.seen {
		assert.True(t, header == "" || strings.HasPrefix(header, "Digest "), "no other scheme than Digest")
		for _, form := range forms(private.Reveal()) {
			assert.NotContains(t, header, form)
		}
	}
	return err
}

func unauthorized(w http.ResponseWriter, challenges ...string) bool {
	for _, challenge := range challenges {
		w.Header().Add("WWW-Authenticate", challenge)
	}
	w.WriteHeader(http.StatusUnauthorized)
	return true
}

func TestDowngradeAndRedirection(t *testing.T) {
	t.Parallel()
	t.Run("only Basic", func(t *testing.T) {
		t.Parallel()
		h := newHostile(t, func(w http.ResponseWriter, _ *http.Request) bool { return unauthorized(w, `Basic realm="x"`) })
		require.ErrorIs(t, h.create(t), livemigration.ErrUnauthorized)
		assert.Equal(t, []string{""}, h.seen)
		assert.Zero(t, h.bodies)
	})
	t.Run("an algorithm that nobody knows", func(t *testing.T) {
		t.Parallel()
		h := newHostile(t, func(w http.ResponseWriter, _ *http.Request) bool {
			return unauthorized(w, `Digest realm="x", nonce="n", algorithm=NONE, qop="auth"`)
		})
		require.ErrorIs(t, h.create(t), livemigration.ErrUnauthorized)
		assert.Equal(t, []string{""}, h.seen)
	})
	t.Run("redirect to another host", func(t *testing.T) {
		t.Parallel()
		thief := newHostile(t, func(w http.ResponseWriter, _ *http.Request) bool {
			return unauthorized(w, `Digest realm="x", nonce="n", qop="auth"`)
		})
		for _, status := range []int{301, 302, 303, 307, 308} {
			h := newHostile(t, func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, thief.url+"/steal", status)
				return true
			})
			require.ErrorContains(t, h.create(t), "rejected: check the base URL")
			assert.Len(t, h.seen, 1)
		}
		assert.Empty(t, thief.seen)
	})
	t.Run("another realm midway", func(t *testing.T) {
		t.Parallel()
		const other = `Digest realm="other", nonce="n", qop="auth", stale=%t`
		for _, stale := range []bool{false, true} {
			h := newHostile(t, func(w http.ResponseWriter, r *http.Request) bool {
				return r.Header.Get("Authorization") != "" && unauthorized(w, fmt.Sprintf(other, stale))
			})
			require.ErrorIs(t, h.create(t), livemigration.ErrUnauthorized)
			assert.LessOrEqual(t, len(h.seen), 9)
			assert.Empty(t, h.Migrations())
		}
	})
	t.Run("a challenge after success", func(t *testing.T) {
		t.Parallel()
		var turned atomic.Bool
		h := newHostile(t, func(w http.ResponseWriter, _ *http.Request) bool {
			return turned.Load() && unauthorized(w, `Digest realm="other", nonce="n", qop="auth"`)
		})
		client := newClient(t, h.Credentials(), livemigration.WithBaseURL(h.url))
		_, err := client.LinkTokens.Create(t.Context(), h.OrgID(), livemigration.LinkTokenRequest{})
		require.NoError(t, err)
		turned.Store(true)
		before := len(h.seen)
		require.ErrorIs(t, client.LinkTokens.Delete(t.Context(), h.OrgID()), livemigration.ErrUnauthorized)
		assert.LessOrEqual(t, len(h.seen)-before, 2)
	})
	t.Run("10,000 challenges", func(t *testing.T) {
		t.Parallel()
		for name, challenges := range map[string][]string{
			"in as many headers": strings.Split(strings.Repeat(`Digest realm="r", nonce="n", algorithm=NONE|`, 9999)+`Digest realm="r", nonce="n"`, "|"),
			"in one header":      {strings.Repeat(`Digest realm="r", nonce="n", algorithm=NONE, `, 9999) + `Digest realm="r", nonce="n"`},
		} {
			t.Run(name, func(t *testing.T) {
				h := newHostile(t, func(w http.ResponseWriter, _ *http.Request) bool { return unauthorized(w, challenges...) })
				err := h.create(t)
				require.Error(t, err)
				assert.NotErrorIs(t, err, livemigration.ErrOutcomeUnknown)
				assert.Less(t, len(err.Error()), 2000)
				assert.LessOrEqual(t, len(h.seen), 4, "one for each attempt that may be made")
				assert.Zero(t, h.bodies)
			})
		}
	})
	t.Run("stale for ever", func(t *testing.T) {
		t.Parallel()
		h := newHostile(t, func(w http.ResponseWriter, _ *http.Request) bool {
			return unauthorized(w, `Digest realm="x", nonce="n", qop="auth", stale=true`)
		})
		err := h.create(t)
		require.ErrorIs(t, err, livemigration.ErrUnauthorized)
		assert.True(t, livemigration.MayHaveCreated(err), "a proxy may have sent it twice")
		assert.Len(t, h.seen, 2)
	})
}
