package bearer_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go/internal/auth"
	"github.com/livemigration/livemigration-go/internal/auth/bearer"
	"github.com/livemigration/livemigration-go/internal/redact"
)

type tokenFunc func() (*oauth2.Token, error)

func (f tokenFunc) Token() (*oauth2.Token, error) { return f() }

// A source with a cache does not know that a token was revoked.
func TestASourceThatKeepsARevokedToken(t *testing.T) {
	t.Parallel()
	calls, next := 0, "revoked"
	server := &atlas{good: map[string]bool{"good": true}}
	source := bearer.NewSource(origin, tokenFunc(func() (*oauth2.Token, error) {
		calls++
		return &oauth2.Token{AccessToken: next, Expiry: time.Now().Add(time.Hour)}, nil
	}), server)
	for i := range 3 {
		code, err := get(t.Context(), source)
		require.NoError(t, err, "the body of Atlas's response can be read")
		assert.Equal(t, 401, code)
		assert.Equal(t, i+2, calls, "it is asked once for each rejection")
	}
	assert.Len(t, server.arrived, 3, "the same token is not sent again")
	assert.Equal(t, []string{"revoked"}, source.Secrets())
	next = "good"
	succeeds(t, source)
	assert.Equal(t, 5, calls)
	assert.Equal(t, []string{"good", "revoked"}, source.Secrets())
}

func TestASourceThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		hanging := make(chan struct{})
		source := bearer.NewSource(origin, tokenFunc(func() (*oauth2.Token, error) {
			if calls.Add(1) <= 2 {
				<-hanging
			}
			return &oauth2.Token{AccessToken: "t0ken"}, nil
		}), &atlas{good: map[string]bool{"t0ken": true}})
		for range 40 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			_, err := get(ctx, source)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
			cancel()
		}
		assert.EqualValues(t, 2, calls.Load(), "one every 30 seconds")
		time.Sleep(30 * time.Second)
		succeeds(t, source)
		assert.EqualValues(t, 3, calls.Load())
		close(hanging)
	})
}

// The user's code runs on a goroutine of this package, where its panic would end the program.
func TestAPanicIsAnError(t *testing.T) {
	t.Parallel()
	_, err := get(t.Context(), bearer.NewSource(origin, tokenFunc(func() (*oauth2.Token, error) { panic("broken") }), &atlas{}))
	require.EqualError(t, err, "token source: panic: broken")
	require.True(t, auth.IsUnsent(err))

	a := bearer.NewAccount(origin, clientID, clientSecret, roundTripper(func(req *http.Request) (*http.Response, error) {
		panic(fmt.Errorf("cannot send %v\nat all", req.Header))
	}))
	_, err = get(t.Context(), a)
	require.ErrorContains(t, err, "POST https://atlas.example/api/oauth/token: panic: cannot send map[")
	clean := redact.New(a.Secrets()).Error(err).Error()
	assert.Contains(t, clean, "Authorization:[Basic [REDACTED]]")
	assert.NotContains(t, clean, "\n")
}
