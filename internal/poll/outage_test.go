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

func outlive(outage time.Duration) Schedule {
	return Schedule{Min: 10 * second, Max: 10 * second, MaxOutage: outage}
}

func TestAnOutageIsToldFromItsBeginningToItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		other := errors.New("still down")
		j := script(constant, sees("a"), after(3*second, fails(errDown)), fails(other), sees("b"), fails(errDown), sees(final))
		states, _, ended := j.run(t, t.Context())
		require.Nil(t, ended)
		assert.Equal(t, []string{"a", "b", final}, states)
		assert.Equal(t, []error{errDown, other, errDown}, j.errs)
		begin := j.looks[1]
		assert.Equal(t, []time.Duration{3 * second, j.looks[2] - begin, 0}, j.outages, "since the beginning of the first look that failed")
		assert.Equal(t, []time.Duration{j.looks[3] - begin, j.looks[5] - j.looks[4]}, j.recoveries)
	})
}

// An outage is told at its beginning and at its doublings, not at each look.
func TestALongOutageIsToldEverLessOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		steps := append(times(300, fails(errDown)), sees("a"), fails(errDown), fails(errDown), sees(final))
		j := script(Schedule{Min: second, Max: second, MaxOutage: time.Hour}, steps...)
		_, _, ended := j.run(t, t.Context())
		require.Nil(t, ended)
		require.Len(t, j.outages, 7, "0, 10, 20, 40, 80 and 160 s, and the next one")
		assert.Zero(t, j.outages[0])
		for i := range 5 {
			assert.InDelta(t, max(10, 2*j.outages[i].Seconds()), j.outages[i+1].Seconds()-0.6, 0.601)
		}
		assert.Zero(t, j.outages[6], "each outage counts from its own beginning")
		assert.Len(t, j.recoveries, 2)
	})
}

func TestAnOutageIsCountedFromTheLastSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var steps []step
		for range 20 {
			steps = append(steps, fails(errDown), sees("a"))
		}
		j := script(outlive(10*second), append(steps, sees(final))...)
		_, _, ended := j.run(t, t.Context())
		require.Nil(t, ended, "no outage lasts for 10 s, all together do")
		assert.Greater(t, time.Since(j.began), time.Minute)
		assert.Len(t, j.recoveries, 20)
	})
}

func TestAnOutageThatIsTooLongEndsTheLooks(t *testing.T) {
	t.Parallel()
	asksFor := func(pause time.Duration) step {
		return returns(Look[string]{Err: errDown, Passing: true, AtLeast: pause})
	}
	for _, tc := range []struct {
		name   string
		outage time.Duration
		steps  []step
		took   time.Duration // from the beginning of the first look
		asked  time.Duration
		err    error
		told   int // outages, -1: several
	}{
		{"looks that fail at once", time.Minute, []step{fails(errDown)}, time.Minute, 0, errDown, -1},
		{"a look that hangs", time.Minute, []step{hangs}, time.Minute, 0, ErrNoResponse, 0},
		{"a look that hangs after one that failed", time.Minute, []step{fails(errDown), hangs}, time.Minute, 0, errDown, 1},
		{"a look that hangs, in other words", time.Minute, []step{func(ctx context.Context) Look[string] {
			<-ctx.Done()
			return Look[string]{Err: errDown, Passing: true}
		}}, time.Minute, 0, errDown, 0},
		{"a look that hangs, and calls that final", time.Minute, []step{func(ctx context.Context) Look[string] {
			<-ctx.Done()
			return Look[string]{Err: ctx.Err()}
		}}, time.Minute, 0, ErrNoResponse, 0},
		{"a pause that is longer than what is left", time.Minute, []step{asksFor(61 * second)}, 0, 61 * second, errDown, 0},
		{"a pause that fits", time.Minute, []step{asksFor(60 * second)}, time.Minute, 0, errDown, 1},
		{"none is allowed", 0, []step{fails(errDown)}, 0, 0, errDown, 0},
		{"none is allowed, and the look takes long", 0, []step{after(30*second, fails(errDown))}, 30 * second, 0, errDown, 0},
		{"none is allowed, and a pause is asked for", 0, []step{asksFor(second)}, 0, 0, errDown, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := script(outlive(tc.outage), append([]step{sees("a")}, tc.steps...)...)
				_, last, ended := j.run(t, t.Context())
				require.NotNil(t, last)
				assert.Equal(t, "a", *last)
				assert.Equal(t, &Ended{Err: tc.err, Outage: tc.took, Asked: tc.asked}, ended)
				assert.Equal(t, j.looks[1]+tc.took, time.Since(j.began))
				if tc.told < 0 {
					assert.Greater(t, len(j.outages), 1)
				} else {
					assert.Len(t, j.outages, tc.told)
				}
				assert.Empty(t, j.recoveries)
			})
		})
	}
}

// A long interval does not end an outage before it has been looked at a few times.
func TestAnOutageIsLookedAtSeveralTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := script(Schedule{Min: time.Hour, Max: time.Hour, MaxOutage: time.Minute}, fails(errDown))
		_, _, ended := j.run(t, t.Context())
		require.NotNil(t, ended)
		assert.Equal(t, []time.Duration{0, 15 * second, 30 * second, 45 * second}, j.looks)
		assert.Equal(t, time.Minute, ended.Outage)

		j = script(Schedule{Min: time.Hour, Max: time.Hour, MaxOutage: time.Minute}, fails(errDown), sees(final))
		_, _, ended = j.run(t, t.Context())
		require.Nil(t, ended, "one failure is no outage of a minute")
	})
}

func TestWaitingForTurnsIsNoPartOfAnOutage(t *testing.T) {
	t.Parallel()
	held := func(d time.Duration, l Look[string]) step {
		l.Held = d
		return after(d, returns(l))
	}
	failure := Look[string]{Err: errDown, Passing: true}
	t.Run("before a look", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			j := script(outlive(time.Minute), append(times(3, fails(errDown)), sees(final))...)
			j.turn = func(context.Context) error {
				time.Sleep(10 * time.Minute)
				return nil
			}
			_, _, ended := j.run(t, t.Context())
			require.Nil(t, ended)
			assert.Less(t, j.recoveries[0], time.Minute)
		})
	})
	t.Run("in a look", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			j := script(outlive(time.Minute), append(times(3, held(50*second, failure)), sees(final))...)
			_, _, ended := j.run(t, t.Context())
			require.Nil(t, ended)
			assert.Less(t, j.recoveries[0], time.Minute)
		})
	})
}

func TestAFailureThatDoesNotPassEndsTheLooks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		first  step
		before error
	}{{"after a state", sees("a"), nil}, {"in an outage", fails(errDown), errDown}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				gone := errors.New("gone")
				j := script(constant, tc.first, returns(Look[string]{Err: gone}), sees(final))
				_, _, ended := j.run(t, t.Context())
				assert.Equal(t, &Ended{Err: gone, Before: tc.before}, ended)
				assert.Len(t, j.looks, 2)
			})
		})
	}
}

// A look whose retry does not fit its deadline says so. That is final for the deadline of the caller, and a failure that
// may pass for the end of the outage.
func TestARetryThatWouldComeTooLate(t *testing.T) {
	t.Parallel()
	late := errors.New("the retry comes too late")
	tooLate := returns(Look[string]{Err: late, Before: errDown})
	t.Run("for the outage", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			for _, ctx := range []func() (context.Context, context.CancelFunc){
				func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) },
				func() (context.Context, context.CancelFunc) { return context.WithTimeout(t.Context(), time.Hour) },
			} {
				ctx, cancel := ctx()
				defer cancel()
				j := script(outlive(time.Minute), tooLate, sees(final))
				_, _, ended := j.run(t, ctx)
				require.Nil(t, ended)
				assert.Equal(t, []error{errDown}, j.errs)
			}
		})
	})
	t.Run("for the caller", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*second)
			defer cancel()
			j := script(outlive(time.Minute), tooLate)
			_, _, ended := j.run(t, ctx)
			assert.Equal(t, &Ended{Err: late}, ended)
		})
	})
}

// A look ends with the outage, and its result counts when it comes in the last moment.
func TestALookInTheLastMomentOfAnOutage(t *testing.T) {
	t.Parallel()
	late := func(l Look[string]) step {
		return func(ctx context.Context) Look[string] {
			<-ctx.Done()
			return l
		}
	}
	done, gone := final, errors.New("gone")
	for _, tc := range []struct {
		name string
		look Look[string]
		want error
	}{
		{"a state", Look[string]{State: &done}, nil},
		{"a final failure", Look[string]{Err: gone}, gone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := script(outlive(20*second), fails(errDown), late(tc.look))
				states, _, ended := j.run(t, t.Context())
				assert.Equal(t, 20*second, time.Since(j.began), "the look's context ends with the outage")
				if tc.want == nil {
					require.Nil(t, ended)
					assert.Equal(t, []string{final}, states)
					return
				}
				assert.Equal(t, &Ended{Err: tc.want, Before: errDown}, ended)
			})
		})
	}
}

func TestTheContextOfALookEndsWithIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []context.Context
		noted := func(s step) step {
			return func(ctx context.Context) Look[string] {
				assert.NoError(t, ctx.Err())
				seen = append(seen, ctx)
				return s(ctx)
			}
		}
		script(constant, noted(sees("a")), noted(fails(errDown)), noted(sees(final))).run(t, t.Context())
		require.Len(t, seen, 3)
		for _, ctx := range seen {
			assert.Error(t, ctx.Err())
		}
	})
}

func TestWithoutAnOutageALookHasTheContextOfTheCaller(t *testing.T) {
	t.Parallel()
	j := script(outlive(0), func(ctx context.Context) Look[string] {
		_, bounded := ctx.Deadline()
		assert.False(t, bounded)
		return sees(final)(ctx)
	})
	_, _, ended := j.run(t, t.Context())
	assert.Nil(t, ended)
}
