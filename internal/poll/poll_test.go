package poll

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const second = time.Second

// constant is a schedule without growth, with an outage that does not end by itself.
var constant = Schedule{Min: 10 * second, Max: 10 * second, MaxOutage: time.Hour}

func TestStatesAreYieldedUntilOneIsFinal(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		steps []step
		want  []string
		looks int
	}{
		{"final at once", []step{sees(final)}, []string{final}, 1},
		{"each look is a state, also an equal one", []step{sees("a"), sees("a"), sees("b"), sees(final)}, []string{"a", "a", "b", final}, 4},
		{"nothing after the final one", []step{sees("a"), sees(final), sees("b")}, []string{"a", final}, 2},
		{"a look without a state is no state", []step{returns(Look[string]{}), sees(final)}, []string{final}, 2},
		{"a failure is no state", []step{sees("a"), fails(errDown), sees(final)}, []string{"a", final}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := script(constant, tc.steps...)
				states, _, ended := j.run(t, t.Context())
				assert.Nil(t, ended)
				assert.Equal(t, tc.want, states)
				assert.Len(t, j.looks, tc.looks)
			})
		})
	}
}

func TestBreakingOutEndsTheLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := script(constant, sees("a"))
		for range j.States(t.Context()) {
			break
		}
		assert.Len(t, j.looks, 1)
		assert.Zero(t, time.Since(j.began), "nothing is waited for")
	})
}

func TestAJobMayBeRangedOverAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := script(Schedule{Min: second, Max: time.Hour, MaxOutage: time.Hour}, append(times(9, sees("a")), sees(final))...)
		states := j.States(t.Context())
		for range states {
		}
		require.Len(t, j.looks, 10)
		j.looks, j.began = nil, time.Now()
		for range states {
		}
		require.Len(t, j.looks, 10)
		assert.LessOrEqual(t, j.looks[1], 1200*time.Millisecond, "the interval begins at its minimum again")
	})
}

func TestIntervalsGrowFromMinToMaxWithJitter(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		Schedule
		centers []time.Duration // of the gaps, the last one for all further ones
	}{
		{"growing", Schedule{Min: 4 * second, Max: 20 * second}, []time.Duration{4 * second, 6 * second, 9 * second, 13500 * time.Millisecond, 20 * second}},
		{"constant", Schedule{Min: second, Max: second}, []time.Duration{second}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const looks = 40
				j := script(tc.Schedule, append(times(looks-1, sees("a")), sees(final))...)
				j.run(t, t.Context())
				require.Len(t, j.looks, looks)
				assert.Zero(t, j.looks[0], "the first look comes at once")
				below, above := 0, 0
				for i := range looks - 1 {
					gap, center := j.looks[i+1]-j.looks[i], tc.centers[min(i, len(tc.centers)-1)]
					assert.InDelta(t, center.Seconds(), gap.Seconds(), 0.2*center.Seconds()+1e-6)
					switch {
					case gap < center-center/50:
						below++
					case gap > center+center/50:
						above++
					}
				}
				assert.Positive(t, below)
				assert.Positive(t, above)
			})
		})
	}
}

func TestALookMayAskForAPause(t *testing.T) {
	t.Parallel()
	asking := func(pause time.Duration) step {
		state := "a"
		return returns(Look[string]{State: &state, AtLeast: pause})
	}
	for _, tc := range []struct {
		name          string
		first         step
		least, atMost time.Duration
	}{
		{"longer than the interval", asking(time.Minute), time.Minute, time.Minute},
		{"shorter than the interval", asking(second), 8 * second, 12 * second},
		{"with a failure", returns(Look[string]{Err: errDown, Passing: true, AtLeast: time.Minute}), time.Minute, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := script(constant, tc.first, sees("b"), sees(final))
				_, _, ended := j.run(t, t.Context())
				require.Nil(t, ended)
				assert.GreaterOrEqual(t, j.looks[1], tc.least)
				assert.LessOrEqual(t, j.looks[1], tc.atMost)
				assert.LessOrEqual(t, j.looks[2]-j.looks[1], 12*second, "it counts once")
			})
		})
	}
}

func TestATurnIsWaitedForBeforeEachLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := script(constant, sees("a"), sees(final))
		var key struct{}
		ctx := context.WithValue(t.Context(), &key, "here")
		turns := 0
		j.turn = func(ctx context.Context) error {
			assert.Equal(t, "here", ctx.Value(&key))
			assert.Len(t, j.looks, turns)
			turns++
			time.Sleep(5 * second)
			return nil
		}
		j.run(t, ctx)
		assert.Equal(t, 2, turns)
		assert.Equal(t, 5*second, j.looks[0])
	})
}

func TestATurnThatIsNotGivenEndsTheLooks(t *testing.T) {
	t.Parallel()
	late := errors.New("the turn comes too late")
	for _, tc := range []struct {
		name   string
		step   step
		last   string
		before error
	}{
		{"after a state", sees("a"), "a", nil},
		{"in an outage", fails(errDown), "", errDown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := script(constant, tc.step)
				j.turn = func(context.Context) error {
					if len(j.looks) > 0 {
						return late
					}
					return nil
				}
				_, last, ended := j.run(t, t.Context())
				assert.Equal(t, &Ended{Err: late, Before: tc.before}, ended)
				assert.Equal(t, tc.last == "", last == nil)
				if last != nil {
					assert.Equal(t, tc.last, *last)
				}
			})
		})
	}
}

func TestTheContextEndsTheLooks(t *testing.T) {
	t.Parallel()
	const limit = 14 * second // after the second look and before the third
	for _, tc := range []struct {
		name  string
		steps []step
		turn  func(context.Context) error
		looks int
		last  bool
		want  Ended
	}{
		{"between two looks", []step{sees("a")}, nil, 2, true, Ended{Err: context.DeadlineExceeded, Interrupted: true}},
		{"between two looks of an outage", []step{sees("a"), fails(errDown)}, nil, 2, true,
			Ended{Err: context.DeadlineExceeded, Interrupted: true, Before: errDown}},
		{"while it waits for a turn", []step{sees("a")}, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 0, false,
			Ended{Err: context.DeadlineExceeded, Interrupted: true}},
		{"in a look", []step{sees("a"), hangs}, nil, 2, true, Ended{Err: context.DeadlineExceeded}},
		{"in a look of an outage, which keeps its own words", []step{fails(errDown), func(ctx context.Context) Look[string] {
			<-ctx.Done()
			return Look[string]{Err: errDown, Passing: true}
		}}, nil, 2, false, Ended{Err: errDown, Before: errDown}},
		{"in a look after one that failed", []step{fails(errDown), hangs}, nil, 2, false, Ended{Err: context.DeadlineExceeded, Before: errDown}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				j := script(constant, tc.steps...)
				j.turn = tc.turn
				_, last, ended := j.run(t, ctx)
				assert.Equal(t, limit, time.Since(j.began))
				assert.Equal(t, &tc.want, ended)
				assert.Equal(t, tc.last, last != nil, "the last state comes with the error")
				assert.Len(t, j.looks, tc.looks)
			})
		})
	}
}

func TestEndedIsItsError(t *testing.T) {
	t.Parallel()
	ended := &Ended{Err: errDown, Before: errors.New("another")}
	assert.EqualError(t, ended, "down")
	assert.Same(t, errDown, errors.Unwrap(ended))
}
