package durable

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

var errDead = errors.New("the program has died")

// life is one run of a program. What it does after its death has no effect, and it learns nothing more.
type life struct {
	*spy
	kill context.CancelFunc

	mu   sync.Mutex
	dead bool
}

func (l *life) lives() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.dead
}

func (l *life) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	l.kill()
}

func (l *life) Save(ctx context.Context, r Record) (Record, error) {
	if !l.lives() {
		return r, errDead
	}
	saved, err := l.spy.Save(ctx, r)
	if !l.lives() {
		return r, errDead
	}
	return saved, err
}

func (l *life) Load(ctx context.Context, name string) (Record, error) {
	if !l.lives() {
		return Record{}, errDead
	}
	return l.spy.Load(ctx, name)
}

// client is a client of the program.
func (l *life) client(t *testing.T, w *world) *livemigration.Client {
	t.Helper()
	client, err := w.NewClient(livemigration.WithTransportWrapper(func(base http.RoundTripper) http.RoundTripper {
		return roundTrip(func(req *http.Request) (*http.Response, error) {
			if !l.lives() {
				return nil, errDead
			}
			resp, err := w.through(base, req)
			if !l.lives() {
				if err == nil {
					_ = resp.Body.Close()
				}
				return nil, errDead
			}
			return resp, err
		})
	}))
	require.NoError(t, err)
	return client
}
