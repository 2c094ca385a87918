package bearer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAServerThatAsksForAPauseGetsOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		fetches, busy := 0, errors.New("busy")
		r.pause, r.fetch = 30*time.Second, func(context.Context) error { fetches++; return busy }
		for range 10 {
			_, err := r.call(t)
			require.ErrorIs(t, err, busy)
			time.Sleep(2 * time.Second)
		}
		assert.Equal(t, 1, fetches)
		r.fetch = func(context.Context) error { fetches++; return nil }
		time.Sleep(10 * time.Second)
		status, err := r.call(t)
		require.NoError(t, err)
		assert.Equal(t, 200, status)
		assert.Equal(t, 2, fetches)
	})
}

func TestAPauseIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		fetches := 0
		r.pause, r.fetch = 99999999*time.Second, func(context.Context) error { fetches++; return errors.New("busy") }
		for range 3 {
			_, err := r.call(t)
			require.Error(t, err)
			time.Sleep(40 * time.Minute)
		}
		assert.Equal(t, 2, fetches)
	})
}
